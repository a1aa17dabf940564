#include "../kube/fake_api.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/ktime.h"
#include "submit/driverproxy.h"

/* A server that answers by verb and kind; 0 = as one where all goes well. */
struct refusals {
        int service, slice, get, delete_service, delete_slice;
        const char *labels; /* of the Service that is there */
};
#define SERVICE(labels) "{\"kind\":\"Service\",\"metadata\":{\"name\":\"d\",\"namespace\":\"jobs\",\"uid\":\"u-1\"" labels "}}"
#define LABELLED ",\"labels\":{\"" DRIVER_PROXY_LABEL "\":\"d\"}"

static void serve(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        const struct refusals *no = api->arg;
        bool is_slice = strstr(request->path, "/endpointslices") != NULL, is_get = streq(request->method, "GET"),
             is_delete = streq(request->method, "DELETE");
        int status = is_delete                            ? (is_slice ? no->delete_slice : no->delete_service)
                     : is_get                             ? no->get
                     : is_slice                           ? no->slice
                     : strstr(request->path, "/services") ? no->service
                                                          : 0;
        if (status == 409)
                answer(x, 409, STATUS(409, "AlreadyExists", "services \\\"d\\\" already exists"));
        else if (status == 404)
                answer(x, 404, STATUS(404, "NotFound", "not here"));
        else if (status == 422)
                answer(x, 422, STATUS(422, "Invalid", "may not be in the loopback range"));
        else if (status)
                answer(x, status, STATUS(403, "Forbidden", "you may not"));
        else
                answer(x, is_get || is_delete ? 200 : 201, no->labels ? no->labels : SERVICE(LABELLED));
}

static const struct driver_proxy proxy = {
        .namespace_ = "jobs", .name = "d", .address = "10.1.2.3", .driver_port = 7078, .block_port = 7079, .ui_port = 4040};

static int create(struct fake_api *api, const struct driver_proxy *p, const struct refusals *no, struct err *err) {
        api->handler = serve;
        api->arg = (void *)no;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        return driver_proxy_create(c, p, err);
}
static int drop(struct fake_api *api, const struct refusals *no, struct err *err) {
        api->handler = serve;
        api->arg = (void *)no;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        return driver_proxy_remove(c, "jobs", "d", err);
}
static yyjson_doc *body(const struct fake_api *api, size_t i) {
        assert_true(i < api->bodies.len);
        yyjson_doc *doc = yyjson_read(api->bodies.items[i], strlen(api->bodies.items[i]), 0);
        assert_non_null(doc);
        return doc;
}
/* The requests without their queries, joined. */
static void requests_are(const struct fake_api *api, const char *expected) {
        AUTO(strv) struct strv all = {0};
        vec_foreach(r, &api->requests) strv_add_n(&all, *r, strcspn(*r, "?"));
        AUTO(free) char *text = strv_join(&all, "\n");
        assert_string_equal(text, expected);
}
static void ports_are(yyjson_val *ports) {
        static const struct {
                const char *name;
                int port;
        } expected[] = {{"driver-rpc-port", 7078}, {"blockmanager", 7079}, {"spark-ui", 4040}};
        assert_int_equal(yyjson_arr_size(ports), ARRAY_LEN(expected));
        for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
                yyjson_val *port = yyjson_arr_get(ports, i);
                assert_string_equal(json_get_str(port, "name"), expected[i].name);
                assert_int_equal(yyjson_get_int(yyjson_obj_get(port, "port")), expected[i].port);
        }
}

#define SERVICES "/api/v1/namespaces/jobs/services"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/jobs/endpointslices"

static void a_service_without_selector_leads_to_this_machine(void **state) {
        struct fake_api *api = *state;
        ok(create(api, &proxy, &(struct refusals){0}, test_err()));
        requests_are(api, "POST " SERVICES "\nPOST " SLICES);
        AUTO(json) yyjson_doc *service_doc = body(api, 0), *slice_doc = body(api, 1);
        yyjson_val *service = yyjson_doc_get_root(service_doc), *slice = yyjson_doc_get_root(slice_doc);
        assert_null(json_at(service, "/spec/selector"));
        assert_string_equal(json_get_str(json_at(service, "/metadata/labels"), DRIVER_PROXY_LABEL), "d");
        ports_are(json_at(service, "/spec/ports"));
        assert_string_equal(json_str_at(slice, "/endpoints/0/addresses/0"), "10.1.2.3");
        assert_string_equal(json_get_str(slice, "addressType"), "IPv4");
        assert_string_equal(json_get_str(json_at(slice, "/metadata/labels"), "kubernetes.io/service-name"), "d");
        assert_string_equal(json_str_at(slice, "/metadata/ownerReferences/0/uid"), "u-1");
        ports_are(json_at(slice, "/ports"));
        yyjson_val *notes = json_at(service, "/metadata/annotations");
        AUTO(free) char *me = xasprintf("%ld ", (long)getpid());
        assert_true(str_starts(json_get_str(notes, "firesteel.dev/process"), me));
        int64_t at_us;
        assert_true(ktime_parse(sv_of(json_get_str(notes, "firesteel.dev/renewed")), &at_us));
}

static void an_address_of_version_six_says_so(void **state) {
        struct fake_api *api = *state;
        struct driver_proxy six = proxy;
        six.address = "fd00::1";
        ok(create(api, &six, &(struct refusals){0}, test_err()));
        AUTO(json) yyjson_doc *slice = body(api, 1);
        assert_string_equal(json_get_str(yyjson_doc_get_root(slice), "addressType"), "IPv6");
}

static void one_that_stays_names_no_process(void **state) {
        struct fake_api *api = *state;
        struct driver_proxy lasting = proxy;
        lasting.is_lasting = true;
        ok(create(api, &lasting, &(struct refusals){0}, test_err()));
        AUTO(json) yyjson_doc *service = body(api, 0);
        assert_null(json_at(yyjson_doc_get_root(service), "/metadata/annotations"));
}

static void a_cluster_without_slices_gets_endpoints(void **state) {
        struct fake_api *api = *state;
        ok(create(api, &proxy, &(struct refusals){.slice = 404}, test_err()));
        requests_are(api, "POST " SERVICES "\nPOST " SLICES "\nPOST /api/v1/namespaces/jobs/endpoints");
        AUTO(json) yyjson_doc *doc = body(api, 2);
        yyjson_val *o = yyjson_doc_get_root(doc);
        assert_string_equal(json_str_at(o, "/subsets/0/addresses/0/ip"), "10.1.2.3");
        assert_string_equal(json_str_at(o, "/metadata/ownerReferences/0/uid"), "u-1");
        ports_are(json_at(o, "/subsets/0/ports"));
}

static void a_name_that_is_taken_is_told_with_the_way_out(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_true(create(api, &proxy, &(struct refusals){.service = 409}, &err) < 0);
        assert_non_null(strstr(err_message(&err), "jobs:d"));
        assert_non_null(strstr(err.hint, "firesteel proxy --driver d --delete"));
        requests_are(api, "POST " SERVICES); /* what others have is not removed */
}

static void half_a_proxy_is_taken_back(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(create(api, &proxy, &(struct refusals){.slice = 422}, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "10.1.2.3"));
        assert_non_null(strstr(err.hint, "--driver-address"));
        requests_are(api, "POST " SERVICES "\nPOST " SLICES "\nGET " SERVICES "/d\nDELETE " SERVICES "/d\nDELETE " SLICES "/d");
}

static void what_cannot_be_taken_back_is_named(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(create(api, &proxy, &(struct refusals){.slice = 403, .delete_service = 403}, &err), -EPERM);
        assert_non_null(strstr(err.hint, "the Service d was left behind"));
}

static void removal_takes_both(void **state) {
        struct fake_api *api = *state;
        ok(drop(api, &(struct refusals){0}, test_err()));
        requests_are(api, "GET " SERVICES "/d\nDELETE " SERVICES "/d\nDELETE " SLICES "/d");
}

static void the_slice_may_be_left_to_the_cluster(void **state) {
        struct fake_api *api = *state;
        ok(drop(api, &(struct refusals){.delete_slice = 403}, test_err()));
}

static void gone_in_the_meantime_is_removed(void **state) {
        struct fake_api *api = *state;
        ok(drop(api, &(struct refusals){.delete_service = 404, .delete_slice = 404}, test_err()));
}

static void only_driver_proxies_are_removed(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(drop(api, &(struct refusals){.labels = SERVICE("")}, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "jobs:d is no driver proxy"));
        requests_are(api, "GET " SERVICES "/d");
}

static void removing_nothing_is_told(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(drop(api, &(struct refusals){.get = 404}, &err), -ENOENT);
}

static void a_removal_that_is_forbidden_is_an_error(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(drop(api, &(struct refusals){.delete_service = 403}, &err), -EPERM);
        assert_non_null(strstr(err_message(&err), "jobs:d"));
}

static void renewing_writes_the_time_and_nothing_else(void **state) {
        struct fake_api *api = *state;
        api->handler = serve;
        api->arg = &(struct refusals){0};
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        int64_t before_ms = clock_now_ms(), at_us;
        ok(driver_proxy_renew(c, "jobs", "d", test_err()));
        requests_are(api, "PATCH " SERVICES "/d");
        AUTO(json) yyjson_doc *doc = body(api, 0);
        yyjson_val *notes = json_at(yyjson_doc_get_root(doc), "/metadata/annotations");
        assert_int_equal(yyjson_obj_size(notes), 1);
        assert_true(ktime_parse(sv_of(json_get_str(notes, "firesteel.dev/renewed")), &at_us));
        assert_true(at_us / 1000 >= before_ms - 1000);
}

/* ---- orphans ---- */

static void serve_text(struct fake_api *api, struct http_exchange *x, const struct http_request *request) { answer(x, 200, api->arg); }

static void add(struct str *list, const char *name, const char *machine, const char *process, const char *renewed) {
        str_appendf(
                list,
                "%s{\"metadata\":{\"namespace\":\"jobs\",\"name\":\"%s\",\"annotations\":{\"firesteel.dev/machine\":\"%s\",\"firesteel.dev/process\":\"%s\","
                "\"firesteel.dev/renewed\":\"%s\"}}}",
                list->len > 0 && str_ends(str_cstr(list), "}") ? "," : "", name, machine, process, renewed);
}

static void only_what_a_crash_left_behind_is_an_orphan(void **state) {
        struct fake_api *api = *state;
        /* This machine and process as the module itself describes them. */
        ok(create(api, &proxy, &(struct refusals){0}, test_err()));
        AUTO(json) yyjson_doc *made = body(api, 0);
        yyjson_val *notes = json_at(yyjson_doc_get_root(made), "/metadata/annotations");
        const char *here = json_get_str(notes, "firesteel.dev/machine"), *me = json_get_str(notes, "firesteel.dev/process");
        assert_non_null(here);
        pid_t ended = fork();
        if (ended == 0)
                _exit(0);
        /* Ended, but not waited for: no longer somebody who uses a proxy. */
        siginfo_t how;
        assert_int_equal(waitid(P_PID, (id_t)ended, &how, WEXITED | WNOWAIT), 0);
        AUTO(str) struct str stat = STR_INIT(4096);
        AUTO(free) char *stat_path = xasprintf("/proc/%d/stat", ended), *reused = xasprintf("%d 1", getpid());
        ok(fs_read(stat_path, 4096, &stat, test_err()));
        const char *field = strrchr(str_cstr(&stat), ')');
        for (int i = 2; i < 22; i++)
                field = strchr(field + 1, ' ');
        AUTO(free) char *zombie = xasprintf("%d %.*s", ended, (int)strcspn(field + 1, " "), field + 1);

        char now[KTIME_SIZE], stale[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        ktime_format(clock_now_ms() - DRIVER_PROXY_STALE_MS - 1000, stale);
        AUTO(str) struct str list = STR_INIT(0);
        str_append_s(&list, "{\"items\":[{\"metadata\":{\"namespace\":\"jobs\",\"name\":\"lasting\"}}");
        add(&list, "mine", here, me, stale); /* lives, whatever the time says */
        add(&list, "reused", here, reused, now);
        add(&list, "zombie", here, zombie, now);
        add(&list, "elsewhere", "another machine", "1 1", now);
        add(&list, "elsewhere-stale", "another machine", "1 1", stale);
        add(&list, "unreadable", "another machine", "1 1", "yesterday");
        str_append_s(&list, "]}");
        api->handler = serve_text;
        api->arg = (char *)str_cstr(&list);
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(strv) struct strv orphans = {0};
        ok(driver_proxy_orphans(c, NULL, &orphans, test_err()));
        AUTO(free) char *text = strv_join(&orphans, " ");
        assert_string_equal(text, "jobs/reused jobs/zombie jobs/elsewhere-stale");
        const char *request = api->requests.items[api->requests.len - 1];
        assert_true(str_starts(request, "GET /api/v1/services?"));
        assert_non_null(strstr(request, "labelSelector=firesteel.dev%2Fdriver-proxy"));
        waitpid(ended, NULL, 0);
}

static void orphans_that_may_not_be_listed_are_an_error(void **state) {
        struct fake_api *api = *state;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(strv) struct strv orphans = {0};
        api->handler = serve;
        api->arg = &(struct refusals){.get = 403};
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        assert_int_equal(driver_proxy_orphans(c, "jobs", &orphans, &err), -EPERM);
        assert_true(str_starts(err_message(&err), "listing driver proxies"));
        assert_int_equal(orphans.len, 0);
}

/* ---- this machine's address ---- */

static void the_address_is_the_routing_tables(void **state) {
        char *address = NULL;
        ok(driver_proxy_address("https://127.0.0.1:6443", &address, test_err()));
        assert_string_equal(address, "127.0.0.1");
        free(address);
}

static void a_server_without_address_is_an_error(void **state) {
        AUTO(err) struct err err = ERR_INIT;
        char *address = NULL;
        /* A label this long is in no name system: the answer needs no network. */
        AUTO(free) char *url = xasprintf("https://%0100d.invalid:6443", 1);
        assert_int_equal(driver_proxy_address(url, &address, &err), -EHOSTUNREACH);
        assert_non_null(strstr(err_message(&err), ".invalid"));
        assert_null(address);
        assert_true(driver_proxy_address("https://[::1", &address, &err) < 0);
        assert_null(address);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(a_service_without_selector_leads_to_this_machine),
                with_api(an_address_of_version_six_says_so),
                with_api(one_that_stays_names_no_process),
                with_api(a_cluster_without_slices_gets_endpoints),
                with_api(a_name_that_is_taken_is_told_with_the_way_out),
                with_api(half_a_proxy_is_taken_back),
                with_api(what_cannot_be_taken_back_is_named),
                with_api(removal_takes_both),
                with_api(the_slice_may_be_left_to_the_cluster),
                with_api(gone_in_the_meantime_is_removed),
                with_api(only_driver_proxies_are_removed),
                with_api(removing_nothing_is_told),
                with_api(a_removal_that_is_forbidden_is_an_error),
                with_api(renewing_writes_the_time_and_nothing_else),
                with_api(only_what_a_crash_left_behind_is_an_orphan),
                with_api(orphans_that_may_not_be_listed_are_an_error),
                cmocka_unit_test(the_address_is_the_routing_tables),
                cmocka_unit_test(a_server_without_address_is_an_error),
        };
        return cmocka_run_group_tests_name("submit/driverproxy", tests, NULL, NULL);
}
