/* First process of the node's namespaces and of every pod's: waits until it is told to end, and buries what is left to it. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) {
        (void)signal;
        _exit(0);
}

static void bury(int signal) {
        (void)signal;
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

int main(void) {
        sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
        sigaction(SIGINT, &(struct sigaction){.sa_handler = end}, NULL);
        sigaction(SIGCHLD, &(struct sigaction){.sa_handler = bury, .sa_flags = SA_NOCLDSTOP}, NULL);
        for (;;)
                pause();
}
