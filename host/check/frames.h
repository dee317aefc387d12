/* What `parley plugin check` and parley-worker-check say to each other, beside the frames of a worker
   link (parley/frame.h), which keep their meaning: EMIT, COMPLETE, LOG and requests of services are
   told as they happen, for the host to judge. Both programs are of one release. */
#ifndef PARLEY_CHECK_FRAMES_H
#define PARLEY_CHECK_FRAMES_H

/* host -> program, after READY. */
enum {
    PARLEY_F_NOTE = 64,  /* the manifest's bytes, as the file has them */
    PARLEY_F_SCRIPT = 65 /* lines of "key value": see worker/torment/script.hpp. It begins. */
};
/* program -> host. */
enum {
    PARLEY_F_CALL = 80,    /* id = call; u32 verb: it is open now */
    PARLEY_F_FINDING = 81, /* "RULE TEXT": something is wrong by that rule; "!": by any;
                              "~": nothing can be said, and another check says why */
    PARLEY_F_REMARK = 82,  /* the same, but only worth a look */
    PARLEY_F_OVER = 83     /* the play is over, and the program ends */
};

#endif
