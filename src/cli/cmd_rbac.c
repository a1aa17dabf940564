/* firesteel rbac: the rights that Spark drivers need. */
#include "cli/output.h"
#include "cli/session.h"
#include "kobj/meta.h"
#include "kube/verbs.h"
#include "submit/rbac.h"

static int apply_all(struct session *s, yyjson_mut_val *items, struct err *err) {
        size_t i, n;
        yyjson_mut_val *object;
        yyjson_mut_arr_foreach(items, i, n, object) {
                const char *kind = mmeta_kind(object);
                const struct kube_resource *resource = kube_resource_of(mmeta_api_version(object), kind);
                int r = kube_apply(s->client, resource, mmeta_namespace(object), object, NULL, err);
                if (r < 0)
                        return err_wrap(err, r, "applying %s %s", kind, mmeta_name(object));
                printf("%s/%s applied\n", resource->plural, mmeta_name(object));
        }
        return EXIT_OK;
}

static void print_all(yyjson_mut_val *root, enum output_format format) {
        if (format == OUTPUT_JSON) {
                output_mut_doc(root, format, stdout);
                return;
        }
        size_t i, n;
        yyjson_mut_val *object;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "items"), i, n, object) {
                if (i)
                        puts("---");
                output_mut_doc(object, OUTPUT_YAML, stdout);
        }
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(session) struct session s = {0};
        bool apply = option_on(&ctx->o, "apply");
        const char *namespace_ = option_str(&ctx->o, "namespace");
        if (apply || !namespace_) {
                int r = session_open(&s, ctx, err);
                if (r < 0)
                        return r;
                namespace_ = s.namespace_;
        }
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        int r = rbac_objects(&(struct rbac_options){
                .namespace_ = namespace_,
                .service_account = option_str(&ctx->o, "service-account"),
                .create_namespace = option_on(&ctx->o, "create-namespace"),
                .stateful_sets = option_on(&ctx->o, "statefulset"),
                .no_pvcs = option_on(&ctx->o, "no-pvc"),
                .submitter = option_str(&ctx->o, "submitter"),
                .client_mode = option_on(&ctx->o, "client-mode"),
        }, &doc, err);
        if (r < 0)
                return r;
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        if (apply) {
                r = apply_all(&s, yyjson_mut_obj_get(root, "items"), err);
                return r < 0 && s.interrupted ? EXIT_INTERRUPTED : r;
        }
        print_all(root, streq(option_str(&ctx->o, "output"), "json") ? OUTPUT_JSON : OUTPUT_YAML);
        return EXIT_OK;
}

static const char *const formats[] = {"yaml", "json", NULL};

const struct cmd cmd_rbac = {
        .name = "rbac",
        .summary = "Print or apply the rights that Spark drivers need",
        .description =
                "Prints a ServiceAccount, a Role with the verbs that a Spark driver uses and no others, and their binding; with --apply it creates or "
                "updates them. Submit with spark.kubernetes.authenticate.driver.serviceAccountName=NAME.\n\n"
                "--submitter also makes a Role for those who submit, watch and kill applications; --client-mode one more for drivers that they run "
                "themselves (submit --deploy-mode client, notebooks): the driver's verbs and those of the driver proxy.",
        .options =
                (const struct option[]){
                        CMD_OPTIONS_CLUSTER,
                        {"service-account", 0, OPTION_STRING, "NAME", "name of the drivers' service account", "spark"},
                        {"submitter", 0, OPTION_STRING, "WHO", "who may submit: USER, group:NAME or serviceaccount:[NAMESPACE:]NAME"},
                        {"client-mode", 0, OPTION_SWITCH, NULL,
                         "with --submitter: also what a driver on the submitter's own machine needs"},
                        {"create-namespace", 0, OPTION_SWITCH, NULL, "the namespace as well"},
                        {"no-pvc", 0, OPTION_SWITCH, NULL, "no rights to volume claims: executors have no volumes on demand"},
                        {"statefulset", 0, OPTION_SWITCH, NULL, "also for the allocator that uses StatefulSets"},
                        {"apply", 0, OPTION_SWITCH, NULL, "create or update them in the cluster"},
                        {"output", 'o', OPTION_CHOICE, "FORMAT", "yaml or json", "yaml", formats},
                        {0}},
        .examples = (const struct cmd_example[]){{"Look first", "firesteel rbac -n spark-jobs --create-namespace"},
                                                 {"Then do it", "firesteel rbac -n spark-jobs --create-namespace --apply"},
                                                 {0}},
        .see_also = "firesteel-submit(1)",
        .run = run,
};
