/* The C side of the golden layout: nothing here runs. */
#include "layout.h"

int parley_layout_holds_in_c(void) { return (int)sizeof(parley_entry); }
