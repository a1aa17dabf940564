/* One program, several faces: by the name it was called under, by hidden modes that must start before anything heavy is
 * initialised, else by the command table. */
#include <signal.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "cluster/podrt/reexec.h"
#include "submit/spark_submit.h"

/* A name (argv[0]) that leads to another main(). */
struct face {
        const char *name;
        int (*main)(int argc, char **argv);
};

/* Called as ... */
static const struct face names[] = {
        {"spark-submit", spark_submit_main},
        {"firesteel-spark-submit", spark_submit_main}, /* beside a spark-submit that is another program */
        {0},
};

int main(int argc, char **argv) {
        /* Helper processes of the pod runtime: many and long-lived, so before anything is initialised. */
        int code;
        if (reexec_dispatch(argc, argv, &code))
                return code;
        log_init_from_env();
        /* Writing to a peer that is gone is an error to be handled, not a reason to die. */
        signal(SIGPIPE, SIG_IGN);
        const char *called = argc > 0 ? fs_basename(argv[0]) : "";
        for (const struct face *f = names; f->name; f++)
                if (streq(called, f->name))
                        return f->main(argc, argv);
        return cmd_main(&cmd_root, argc, argv);
}
