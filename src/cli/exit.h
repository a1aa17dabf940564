/* Exit codes: part of the interface (firesteel(1), "EXIT STATUS"). Scripts may rely on them. */
#ifndef FIRESTEEL_CLI_EXIT_H
#define FIRESTEEL_CLI_EXIT_H

enum exit_code {
        EXIT_OK = 0,
        EXIT_FAILED = 1,        /* it was tried and failed; the reason is on standard error */
        EXIT_USAGE = 2,         /* the command line is wrong; nothing was done */
        EXIT_NOT_FOUND = 3,     /* what was asked about does not exist or is not running */
        EXIT_TIMED_OUT = 4,     /* the time allowed ran out; what was started goes on */
        EXIT_INTERRUPTED = 130, /* Ctrl-C */
};

#endif
