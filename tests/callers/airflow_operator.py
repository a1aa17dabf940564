"""Run by Airflow's Python: SparkSubmitOperator with whatever spark-submit is in PATH. Prints what the operator made of it, as JSON.

    airflow_operator.py succeed|fail|kill MASTER
"""
import json
import logging
import os
import subprocess
import sys
import threading
import time

what, master = sys.argv[1:]
host, port = master.rsplit(":", 1)
os.environ["AIRFLOW_CONN_SPARK_UNDER_TEST"] = json.dumps({
    "conn_type": "spark", "host": "k8s://" + host, "port": int(port), "extra": {"deploy-mode": "cluster", "spark-binary": "spark-submit", "namespace": "default"}})

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
operator = SparkSubmitOperator(
    task_id=what, conn_id="spark_under_test", name="airflow-" + what, application="local:///opt/spark/examples/src/main/python/pi.py",
    application_args=[{"succeed": "2", "fail": "not-a-number", "kill": "1000000"}[what]], num_executors=1, executor_memory="512m", driver_memory="512m",
    conf={"spark.kubernetes.container.image": os.environ["IMAGE"], "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
          "spark.kubernetes.driver.request.cores": "100m", "spark.kubernetes.executor.request.cores": "100m"})
answer = {}


def execute():
    try:
        operator.execute({})
        answer["raised"] = None
    except BaseException as e:
        answer["raised"] = f"{type(e).__name__}: {e}"


def driver_state():
    found = subprocess.run(["firesteel", "status", operator._hook._kubernetes_driver_pod, "-o", "json"], capture_output=True, text=True)
    return json.loads(found.stdout).get("state") if found.stdout else None


if what == "kill":
    thread = threading.Thread(target=execute)
    thread.start()
    until = time.monotonic() + 300
    while time.monotonic() < until and not (operator._hook and operator._hook._kubernetes_driver_pod and driver_state() == "Running"):
        time.sleep(0.2)
    answer["process"] = operator._hook._submit_sp.pid
    operator.on_kill()
    thread.join(120)
    answer["ended"] = not thread.is_alive()
else:
    execute()
hook = operator._hook
print(json.dumps(dict(answer, pod=hook._kubernetes_driver_pod, application=hook._kubernetes_application_id, exit_code=hook._spark_exit_code)))
