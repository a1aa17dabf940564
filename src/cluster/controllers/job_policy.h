/* What a Job says about the ends of its pods: which failures count (podFailurePolicy), when an index has failed for good
 * (backoffLimitPerIndex), when enough has succeeded (successPolicy), how long to wait before the next try. Functions of documents, without
 * effects; job.c does what follows from them.
 *
 * The rules are those of kube-controller-manager 1.34 (KEP-3329, KEP-3850, KEP-3998); tests/conformance/areas/jobs.py compares them. */
#ifndef FIRESTEEL_CLUSTER_JOB_POLICY_H
#define FIRESTEEL_CLUSTER_JOB_POLICY_H

#include "cluster/controllers/index_set.h"
#include "codec/json.h"

#define JOB_INDEX "batch.kubernetes.io/job-completion-index"
#define JOB_INDEX_FAILURES "batch.kubernetes.io/job-index-failure-count"
#define JOB_INDEX_IGNORED "batch.kubernetes.io/job-index-ignored-failure-count"

enum failure_action { FAILURE_COUNT, FAILURE_IGNORE, FAILURE_FAIL_INDEX, FAILURE_FAIL_JOB };

/* What the first rule that matches wants; FAILURE_COUNT when there is no policy or no rule matches. *ret_message (may be NULL) is set for
 * FAILURE_FAIL_JOB only. */
enum failure_action job_failure_action(yyjson_val *job_spec, yyjson_val *pod, char **ret_message);
/* Does the pod count as failed? One that is being deleted does, unless only failed pods are replaced. */
bool job_pod_failed(yyjson_val *job_spec, yyjson_val *pod);
bool job_replaces_failed_only(yyjson_val *job_spec);

/* The completion index of a pod; -1 when it has none. */
int64_t job_pod_index(yyjson_val *pod);
/* Has its index failed for good with this pod? Only for Jobs with backoffLimitPerIndex. */
bool job_index_failed(yyjson_val *job_spec, yyjson_val *pod);
/* The failures of an index that the next pod is to carry as annotations. `replaced` is the pod before, NULL for the first one. */
void job_index_counts(yyjson_val *job_spec, yyjson_val *replaced, int64_t *ret_failures, int64_t *ret_ignored);
/* All failures that the pod carries, ignored ones included. */
int64_t job_index_all_failures(yyjson_val *pod);

/* The number of the successPolicy's rule that is met, -1 for none. */
int job_success_rule(yyjson_val *job_spec, const struct index_set *succeeded);

/* When the pod ended, as well as that can be known. */
int64_t job_pod_ended_ms(yyjson_val *pod);
/* How long to wait after so many failures: 10 s, doubled up to 10 minutes; 0 for none. */
int64_t job_pause_ms(int64_t failures);

#endif
