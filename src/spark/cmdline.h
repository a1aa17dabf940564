/* spark-submit's command line: the grammar of SparkSubmitOptionParser, and what SparkSubmitArguments makes of it.
 *
 * Life cycle: submit_args_init, submit_args_parse, submit_args_merge once per properties file (nearest first), submit_args_finish, then
 * read-only. Precedence: options and --conf, then properties files, then environment. --driver-memory and the other --driver-... options
 * that have a key are the same as --conf, so the last of both wins, as in the original.
 *
 * Errors are -EINVAL with the original's text; `usage` says whether the original shows its usage after it. */
#ifndef FIRESTEEL_SPARK_CMDLINE_H
#define FIRESTEEL_SPARK_CMDLINE_H

#include "base/map.h"
#include "base/vec.h"
#include "spark/versions.h"

enum submit_action {
        SUBMIT_ACTION_SUBMIT,
        SUBMIT_ACTION_KILL,
        SUBMIT_ACTION_STATUS,
        SUBMIT_ACTION_HELP,
        SUBMIT_ACTION_VERSION,
        SUBMIT_ACTION_USAGE
};

enum submit_arg {
        SUBMIT_ARCHIVES,
        SUBMIT_CLASS,
        SUBMIT_CONF,
        SUBMIT_DEPLOY_MODE,
        SUBMIT_DRIVER_CLASS_PATH,
        SUBMIT_DRIVER_CORES,
        SUBMIT_DRIVER_DEFAULT_CLASS_PATH,
        SUBMIT_DRIVER_JAVA_OPTIONS,
        SUBMIT_DRIVER_LIBRARY_PATH,
        SUBMIT_DRIVER_MEMORY,
        SUBMIT_EXECUTOR_CORES,
        SUBMIT_EXECUTOR_MEMORY,
        SUBMIT_FILES,
        SUBMIT_JARS,
        SUBMIT_KEYTAB,
        SUBMIT_KILL,
        SUBMIT_MASTER,
        SUBMIT_REMOTE,
        SUBMIT_NAME,
        SUBMIT_NUM_EXECUTORS,
        SUBMIT_PACKAGES,
        SUBMIT_EXCLUDE_PACKAGES,
        SUBMIT_PRINCIPAL,
        SUBMIT_PROPERTIES_FILE,
        SUBMIT_PROXY_USER,
        SUBMIT_PY_FILES,
        SUBMIT_QUEUE,
        SUBMIT_REPOSITORIES,
        SUBMIT_STATUS,
        SUBMIT_TOTAL_EXECUTOR_CORES,
        SUBMIT_HELP,
        SUBMIT_SUPERVISE,
        SUBMIT_USAGE_ERROR,
        SUBMIT_VERBOSE,
        SUBMIT_VERSION,
        SUBMIT_LOAD_SPARK_DEFAULTS,
        SUBMIT_ARGS,
};

struct submit_option {
        const char *name;      /* "--master" */
        const char *alias;     /* "-c", or NULL */
        const char *value;     /* what the value is called; NULL = a switch */
        const char *key;       /* the configuration key that it sets, as --conf does; NULL = none */
        const char *help;
        unsigned char versions; /* SPARK_KEY_IN_... */
};
/* Indexed by enum submit_arg. */
extern const struct submit_option submit_options[SUBMIT_ARGS];

struct submit_args {
        enum spark_line line;
        enum submit_action action;
        char *values[SUBMIT_ARGS]; /* as given; after submit_args_finish() also from properties and environment */
        bool given[SUBMIT_ARGS];   /* as an option */
        struct map properties;     /* --conf and the files; after finish only spark.* */
        char *resource;            /* the application file as given; NULL = none */
        struct strv app_args;
        bool verbose, load_defaults, supervise;
        bool dynamic_allocation;
        bool usage; /* the error was one of usage */
        bool is_python, is_r;
        struct strv warnings;
};

void submit_args_init(struct submit_args *a, enum spark_line line);
void submit_args_done(struct submit_args *a);
DEFINE_AUTO_VALUE(submit_args, struct submit_args, submit_args_done)

/* argv without the program's name. */
MUST_USE int submit_args_parse(struct submit_args *a, int argc, char *const *argv, struct err *err);
/* As if the option had been given; a switch ignores the value. */
MUST_USE int submit_args_set(struct submit_args *a, enum submit_arg which, const char *value, struct err *err);
/* Sets the application file and what follows from its name. */
void submit_args_set_resource(struct submit_args *a, const char *resource);
/* Adds the properties that are not set yet; values are trimmed but for line ends, as Spark does with files. */
void submit_args_merge(struct submit_args *a, const struct map *properties);
/* Fills in from properties and environment, drops keys that are not Spark's (with a warning) and checks; only checks what the action needs.
 */
MUST_USE int submit_args_finish(struct submit_args *a, const struct map *env, struct err *err);
/* Spark's "Not allowed to specify max heap(Xmx) ..." for -Xmx among the driver's Java options; submit_args_parse() does it by itself. */
MUST_USE int submit_args_check_java_options(struct submit_args *a, struct err *err);

/* Is this one for Kubernetes in cluster mode, which is what firesteel does itself? Works from finish on; NULL master is local[*]. */
bool submit_args_is_k8s_cluster(const struct submit_args *a);
/* The help text: usage lines and every option. */
void submit_usage(enum spark_line line, struct str *out);

#endif
