/* Uploads of a submission (spark.kubernetes.file.upload.path): to file: places and to S3 (s3a://, s3://).
 *
 * S3 is configured as for Spark itself: spark.hadoop.fs.s3a.KEY, then fs.s3a.KEY of $HADOOP_CONF_DIR/core-site.xml; what neither sets comes
 * from AWS's environment variables, profiles and services (objstore/credentials.h). AWS_CA_BUNDLE and fs.s3a.proxy.* are heeded. */
#ifndef FIRESTEEL_SUBMIT_UPLOAD_H
#define FIRESTEEL_SUBMIT_UPLOAD_H

#include "event/loop.h"
#include "spark/conf.h"
#include "spark/inputs.h"
#include "spark/submission.h"

struct upload_options {
        struct loop *loop; /* is run; stopping it interrupts (-EINTR) */
        const struct spark_conf *conf;
        const struct submission_inputs *in; /* environment, core-site.xml */
        bool keep_on_failure;               /* as the original: what was uploaded before a failure stays */
        void (*say)(void *arg, const char *line); /* may be NULL */
        /* Of the file that is on its way; sent == total when it has arrived. Set, it is called instead of `say`. May be NULL. */
        void (*progress)(void *arg, const char *name, int64_t sent, int64_t total);
        void *arg;
};

/* Checks that every target can be written by this program, before anything is. */
MUST_USE int upload_check(const struct submission_uploads *uploads, struct err *err);
MUST_USE int upload_run(const struct submission_uploads *uploads, const struct upload_options *o, struct err *err);
/* Removes what upload_run made, because nobody will use it. What cannot be removed is said. */
void upload_take_back(const struct submission_uploads *uploads, const struct upload_options *o);

#endif
