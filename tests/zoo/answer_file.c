/* Answers with a file for the conversation, though its manifest says of no skill that it sends any.
   Expect: the skill brought a file, which its manifest does not say
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":\"look\",\"attachments\":[{\"name\":\"a.txt\",\"bytes\":1,\"blob\":"
                 "\"b-0000000000000000000000000000000000000000000000000000000000000000\"}]}");
}
