/* SPDX-License-Identifier: Apache-2.0 */
/* An application that says that it runs, and does. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    puts("the application runs");
    fflush(stdout);
    for (;;) pause();
}
