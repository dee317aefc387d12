/* A library that says nothing of itself: no manifest, no entry. */
int zoo_silent(void);
__attribute__((visibility("default"))) int zoo_silent(void) { return 7; }
