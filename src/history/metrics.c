/* The server's own figures, in Prometheus' text format. */
#include "base/clock.h"
#include "history/history-internal.h"

static void gauge(struct str *s, const char *name, const char *type, const char *help, double v) {
        str_appendf(s, "# HELP firesteel_history_%s %s\n# TYPE firesteel_history_%s %s\nfiresteel_history_%s %.17g\n", name, help, name,
                    type, name, v);
}

static double resident_bytes(void) {
        FILE *f = fopen("/proc/self/statm", "re");
        unsigned long long size = 0, resident = 0;
        if (!f)
                return 0;
        int n = fscanf(f, "%llu %llu", &size, &resident);
        fclose(f);
        return n == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

void history_write_metrics(const struct history *h, struct str *s) {
        const struct history_metrics *m = &h->metrics;
        size_t problems = 0;
        uint64_t requests = 0;
        vec_foreach(r, &h->listing->records) problems += (*r)->problem != NULL;
        str_append_s(
                s,
                "# HELP firesteel_history_requests_total Requests answered, by status class\n# TYPE firesteel_history_requests_total counter\n");
        for (size_t i = 1; i < ARRAY_LEN(m->requests); i++) {
                str_appendf(s, "firesteel_history_requests_total{code=\"%zuxx\"} %llu\n", i, (unsigned long long)m->requests[i]);
                requests += m->requests[i];
        }
        gauge(s, "request_seconds_sum", "counter", "Time from request to answer, added up", (double)m->request_us / 1e6);
        gauge(s, "request_seconds_count", "counter", "Requests answered", (double)requests);
        gauge(s, "response_bytes_total", "counter", "Bytes of bodies sent", (double)m->bytes_sent);
        gauge(s, "applications", "gauge", "Applications listed", (double)h->listing->num_apps);
        gauge(s, "logs", "gauge", "Event logs found", (double)h->listing->records.len);
        gauge(s, "logs_with_problems", "gauge", "Event logs that are not listed because they cannot be read", (double)problems);
        gauge(s, "last_scan_timestamp_seconds", "gauge", "When the log directory was last looked at", (double)h->listing->scanned_ms / 1e3);
        gauge(s, "scans_total", "counter", "Scans of the log directory", (double)m->scans);
        gauge(s, "scan_errors_total", "counter", "Scans that failed", (double)m->scan_errors);
        gauge(s, "scan_seconds_total", "counter", "Time spent scanning", (double)m->scan_us / 1e6);
        gauge(s, "logs_read_total", "counter", "Logs read for the listing", (double)m->logs_read);
        gauge(s, "models", "gauge", "Applications in use", (double)h->models.len);
        gauge(s, "large_answers", "gauge", "Large answers being sent, or waiting for their turn",
              (double)(h->num_large + h->large_queue.len));
        gauge(s, "loads_total", "counter", "Applications opened", (double)m->loads);
        gauge(s, "replays_total", "counter", "Applications opened by replaying their log, for want of an index", (double)m->loads_built);
        gauge(s, "continued_replays_total", "counter", "Of them those that went on where the log had ended the last time",
              (double)m->loads_continued);
        gauge(s, "load_errors_total", "counter", "Applications that could not be opened", (double)m->load_errors);
        gauge(s, "load_seconds_total", "counter", "Time spent opening applications", (double)m->load_us / 1e6);
        gauge(s, "replayed_bytes_total", "counter", "Bytes of events replayed", (double)m->log_bytes);
        gauge(s, "cleaned_logs_total", "counter", "Logs removed by the cleaner", (double)m->removed_logs);
        gauge(s, "process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes());
        gauge(s, "process_start_time_seconds", "gauge", "When the server was started", (double)h->started_ms / 1e3);
}
