#!/bin/bash
# What the containers of Spark's image run: "driver ARGUMENTS..." or "executor", as Spark's Kubernetes scheduler asks for them.
set -e
# Java asks for the name of its user, which a random user id has not.
if ! getent passwd "$(id -u)" >/dev/null && [ -w /etc/passwd ]; then
        echo "spark:x:$(id -u):$(id -g):spark:$SPARK_HOME:/bin/false" >>/etc/passwd
fi
export PYTHONPATH=$SPARK_HOME/python/lib/pyspark.zip:$(echo "$SPARK_HOME"/python/lib/py4j-*.zip)${PYTHONPATH:+:$PYTHONPATH}
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-python3} PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-python3}

case ${1:-} in
driver)
        shift
        exec "$SPARK_HOME/bin/spark-submit" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
                --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
        ;;
executor)
        # SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ... in the order of their numbers
        options=()
        for name in $(compgen -e | grep '^SPARK_JAVA_OPT_[0-9]*$' | sort -t_ -k4 -n); do options+=("${!name}"); done
        path=$SPARK_HOME/conf:$SPARK_HOME/jars/*${SPARK_EXTRA_CLASSPATH:+:$SPARK_EXTRA_CLASSPATH}${SPARK_CLASSPATH:+:$SPARK_CLASSPATH}:$PWD
        [ -z "${SPARK_CONF_DIR:-}" ] || path=$SPARK_CONF_DIR:$path
        exec "$JAVA_HOME/bin/java" "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$path" \
                org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" \
                --cores "$SPARK_EXECUTOR_CORES" --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
                --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
        ;;
*) exec "$@" ;;
esac
