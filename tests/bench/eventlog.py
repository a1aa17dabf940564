"""Synthetic event logs of any size, in the vocabulary of Spark 4.1 (JsonProtocol): executors come and go, SQL executions with plans and adaptive
updates, jobs of one to three stages, tasks with full metrics and accumulables, among them failed, killed, speculative and skewed ones. A task
takes about 6 KB, as in genuine logs; the same seed gives the same bytes.

    eventlog.py --tasks 1000000 --out DIR [--name app] [--zstd]
"""
import argparse
import json
import pathlib
import random
import subprocess

INTERNAL = ("executorDeserializeTime", "executorDeserializeCpuTime", "executorRunTime", "executorCpuTime", "resultSize", "jvmGCTime", "resultSerializationTime",
            "memoryBytesSpilled", "diskBytesSpilled", "peakExecutionMemory", "shuffle.read.remoteBlocksFetched", "shuffle.read.localBlocksFetched",
            "shuffle.read.remoteBytesRead", "shuffle.read.localBytesRead", "shuffle.read.fetchWaitTime", "shuffle.read.recordsRead",
            "shuffle.write.bytesWritten", "shuffle.write.recordsWritten", "shuffle.write.writeTime", "input.bytesRead", "input.recordsRead")
SQL = (("number of output rows", "sum"), ("scan time", "timing"), ("size of files read", "size"), ("shuffle bytes written", "size"),
       ("shuffle write time", "nsTiming"), ("records read", "sum"), ("fetch wait time", "timing"), ("peak memory", "size"), ("spill size", "size"), ("duration", "timing"))
PEAKS = ("JVMHeapMemory", "JVMOffHeapMemory", "OnHeapExecutionMemory", "OffHeapExecutionMemory", "OnHeapStorageMemory", "OffHeapStorageMemory", "OnHeapUnifiedMemory",
         "OffHeapUnifiedMemory", "DirectPoolMemory", "MappedPoolMemory", "ProcessTreeJVMVMemory", "ProcessTreeJVMRSSMemory", "ProcessTreePythonVMemory",
         "ProcessTreePythonRSSMemory", "ProcessTreeOtherVMemory", "ProcessTreeOtherRSSMemory", "MinorGCCount", "MinorGCTime", "MajorGCCount", "MajorGCTime",
         "TotalGCTime", "ConcurrentGCCount", "ConcurrentGCTime")
SET_PEAKS = (0, 1, 2, 6, 8, 20)
STACK = "\n".join(f"org.apache.spark.sql.execution.Layer{i}.call(Layer{i}.scala:{i * 13 + 7})" for i in range(14))
SQL_UI = "org.apache.spark.sql.execution.ui."
CORES = 4
SUCCESS, FAILED, KILLED, LOST = range(4)

TASK_START = ('{"Event":"SparkListenerTaskStart","Stage ID":%d,"Stage Attempt ID":0,"Task Info":{"Task ID":%d,"Index":%d,"Attempt":%d,"Partition ID":%d,'
              '"Launch Time":%d,"Executor ID":"%d","Host":"%s","Locality":"%s","Speculative":%s,"Getting Result Time":0,"Finish Time":0,"Failed":false,'
              '"Killed":false,"Accumulables":[]}}\n')
TASK_INFO = ('"Task Info":{"Task ID":%d,"Index":%d,"Attempt":%d,"Partition ID":%d,"Launch Time":%d,"Executor ID":"%d","Host":"%s","Locality":"%s","Speculative":%s,'
             '"Getting Result Time":0,"Finish Time":%d,"Failed":%s,"Killed":%s,"Accumulables":[%s]}')
TASK_PEAKS = '"Task Executor Metrics":{' + ",".join('"%s":%s' % (m, "%d" if i in SET_PEAKS else "0") for i, m in enumerate(PEAKS)) + "}"
TASK_METRICS = (
    '"Task Metrics":{"Executor Deserialize Time":%d,"Executor Deserialize CPU Time":%d,"Executor Run Time":%d,"Executor CPU Time":%d,"Peak Execution Memory":%d,'
    '"Peak On Heap Execution Memory":%d,"Peak Off Heap Execution Memory":0,"Result Size":%d,"JVM GC Time":%d,"Result Serialization Time":%d,'
    '"Memory Bytes Spilled":%d,"Disk Bytes Spilled":%d,"Shuffle Read Metrics":{"Remote Blocks Fetched":%d,"Local Blocks Fetched":%d,"Fetch Wait Time":%d,'
    '"Remote Bytes Read":%d,"Remote Bytes Read To Disk":0,"Local Bytes Read":%d,"Total Records Read":%d,"Remote Requests Duration":%d,"Push Based Shuffle":{'
    '"Corrupt Merged Block Chunks":0,"Merged Fetch Fallback Count":0,"Merged Remote Blocks Fetched":0,"Merged Local Blocks Fetched":0,'
    '"Merged Remote Chunks Fetched":0,"Merged Local Chunks Fetched":0,"Merged Remote Bytes Read":0,"Merged Local Bytes Read":0,'
    '"Merged Remote Requests Duration":0}},"Shuffle Write Metrics":{"Shuffle Bytes Written":%d,"Shuffle Write Time":%d,"Shuffle Records Written":%d},'
    '"Input Metrics":{"Bytes Read":%d,"Records Read":%d},"Output Metrics":{"Bytes Written":%d,"Records Written":%d},"Updated Blocks":[]}')


def host(executor):
    return f"10.0.{executor // 200}.{executor % 200}"


class Generator:
    def __init__(self, out, app, tasks, executors, per_stage, environment, seed):
        self.out, self.app, self.left, self.executors, self.per_stage, self.environment = out, app, tasks, executors, per_stage, environment
        self.random = random.Random(seed)
        self.now = 1760000000000
        self.task = self.stage = self.job = self.sql = self.rdd = self.accumulator = 0

    def event(self, name, **fields):
        o = {"Event": name}
        o.update((k.replace("_", " "), v) for k, v in fields.items())
        self.out.write(json.dumps(o, separators=(",", ":")) + "\n")

    def sql_event(self, name, **fields):
        self.out.write(json.dumps(dict({"Event": SQL_UI + name}, **fields), separators=(",", ":")) + "\n")

    def begin(self):
        n = self.environment
        self.event("SparkListenerLogStart", Spark_Version="4.1.4")
        self.event("SparkListenerEnvironmentUpdate", JVM_Information={"Java Home": "/opt/java", "Java Version": "17", "Scala Version": "version 2.13.17"},
                   Spark_Properties={"spark.app.id": self.app, "spark.app.name": "synthetic", "spark.executor.instances": str(self.executors)},
                   Hadoop_Properties={f"hadoop.prop.{i}.key": f"value {i}" for i in range(4 * n)}, System_Properties={f"sys.prop.{i}": f"/x/{i}" for i in range(n)},
                   Metrics_Properties={}, Classpath_Entries={f"/opt/spark/jars/lib-{i}.jar": "System Classpath" for i in range(2 * n)})
        self.event("SparkListenerApplicationStart", App_Name="synthetic", App_ID=self.app, Timestamp=self.now, User="bench")
        for i in range(1, self.executors + 1):
            self.add_executor(i, self.now + 3000 + i * 7)

    def add_executor(self, i, at):
        self.event("SparkListenerExecutorAdded", Timestamp=at, Executor_ID=str(i),
                   Executor_Info={"Host": host(i), "Total Cores": CORES, "Log Urls": {}, "Attributes": {"POD_NAME": f"exec-{i}"}, "Resources": {}, "Resource Profile Id": 0})
        self.event("SparkListenerBlockManagerAdded", Block_Manager_ID={"Executor ID": str(i), "Host": host(i), "Port": 7079}, Maximum_Memory=2101975449,
                   Timestamp=at + 50, Maximum_Onheap_Memory=2101975449, Maximum_Offheap_Memory=0)

    # ---- SQL ----

    def plan(self, base, stages):
        def node(name, k, children):
            return {"nodeName": name, "simpleString": f"{name} [k#{k}, v#{k + 1}]", "children": children, "metadata": {},
                    "metrics": [{"name": m, "accumulatorId": base + k * len(SQL) + i, "metricType": kind} for i, (m, kind) in enumerate(SQL)]}

        tree = node(f"Scan parquet db.t{self.job % 9}", 0, [])
        for k in range(1, 2 * stages):
            tree = node(("Exchange", "HashAggregate", "Sort", "SortMergeJoin")[k % 4], k, [tree])
        text = "== Physical Plan ==\nAdaptiveSparkPlan\n" + "".join(f"({k}) HashAggregate\nInput [2]: [k#{k}, v#{k}]\nKeys [1]: [k#{k}]\n" for k in range(2 * stages))
        return {"nodeName": "AdaptiveSparkPlan", "simpleString": "AdaptiveSparkPlan isFinalPlan=false", "children": [tree], "metadata": {}, "metrics": []}, text

    # ---- jobs ----

    def info(self, stage, tasks, parents):
        rdds = [{"RDD ID": self.rdd + i, "Name": "MapPartitionsRDD", "Scope": json.dumps({"id": str(self.rdd + i), "name": "WholeStageCodegen"}), "Callsite": "collect at job.py",
                 "Parent IDs": [self.rdd + i - 1] if i else [], "Storage Level": {"Use Disk": False, "Use Memory": False, "Use Off Heap": False, "Deserialized": False, "Replication": 1},
                 "Barrier": False, "Number of Partitions": tasks, "Number of Cached Partitions": 0, "Memory Size": 0, "Disk Size": 0} for i in range(4)]
        self.rdd += 4
        return {"Stage ID": stage, "Stage Attempt ID": 0, "Stage Name": f"collect at job.py:{self.job}", "Number of Tasks": tasks, "RDD Info": rdds, "Parent IDs": parents,
                "Details": STACK, "Accumulables": [], "Resource Profile Id": 0, "Shuffle Push Enabled": False, "Shuffle Push Mergers Count": 0}

    def one_job(self):
        sizes = []
        for _ in range(1 + self.job % 3):
            if self.left > 0:
                sizes.append(min(self.left, max(1, int(self.per_stage * (0.5 + self.random.random())))))
                self.left -= sizes[-1]
        has_sql, fails = self.job % 4 != 3, self.job % 37 == 36
        base = self.accumulator
        self.accumulator += len(SQL) * 2 * len(sizes)
        tree, text = self.plan(base, len(sizes))
        properties = {"callSite.short": f"collect at job.py:{self.job}"}
        if has_sql:
            properties["spark.sql.execution.id"] = str(self.sql)
            self.sql_event("SparkListenerSQLExecutionStart", executionId=self.sql, rootExecutionId=self.sql, description=f"query {self.sql}", details=STACK,
                           physicalPlanDescription=text, sparkPlanInfo=tree, time=self.now, modifiedConfigs={})
            self.sql_event("SparkListenerDriverAccumUpdates", executionId=self.sql, accumUpdates=[[base + 2, 123456789]])
        infos = [self.info(self.stage + k, n, [self.stage + k - 1] if k else []) for k, n in enumerate(sizes)]
        self.event("SparkListenerJobStart", Job_ID=self.job, Submission_Time=self.now, Stage_Infos=infos, Stage_IDs=[i["Stage ID"] for i in infos], Properties=properties)
        for k, info in enumerate(infos):
            last = k + 1 == len(infos)
            self.one_stage(info, properties, base + 2 * k * len(SQL) if has_sql else None, k == 0, last, last and fails)
            if has_sql and not last:
                self.sql_event("SparkListenerSQLAdaptiveExecutionUpdate", executionId=self.sql, physicalPlanDescription=text, sparkPlanInfo=tree)
        self.stage += len(infos)
        result = {"Result": "JobFailed", "Exception": {"Message": "Job aborted", "Stack Trace": []}} if fails else {"Result": "JobSucceeded"}
        self.event("SparkListenerJobEnd", Job_ID=self.job, Completion_Time=self.now, Job_Result=result)
        if has_sql:
            self.sql_event("SparkListenerSQLExecutionEnd", executionId=self.sql, time=self.now, errorMessage="boom" if fails else "")
            self.sql += 1
        if self.job % 50 == 49:
            executor = self.job // 50 % self.executors + 1
            self.event("SparkListenerExecutorRemoved", Timestamp=self.now, Executor_ID=str(executor), Removed_Reason="Executor decommission: spot node reclaimed")
            self.add_executor(executor, self.now + 9000)
        self.job += 1
        self.now += 200

    def one_stage(self, info, properties, sql_base, reads_input, is_result, fails):
        info = dict(info, **{"Submission Time": self.now})
        self.event("SparkListenerStageSubmitted", Stage_Info=info, Properties=properties)
        base = self.accumulator
        self.accumulator += len(INTERNAL)
        form = ['{"ID":%d,"Name":"internal.metrics.%s","Update":%%d,"Value":%%d,"Internal":true,"Count Failed Values":true}' % (base + i, m) for i, m in enumerate(INTERNAL)]
        if sql_base is not None:
            form += ['{"ID":%d,"Name":"%s","Update":"%%d","Value":"%%d","Internal":true,"Count Failed Values":true,"Metadata":"sql"}' % (sql_base + i, m)
                     for i, (m, _) in enumerate(SQL)]
        stage = {"id": info["Stage ID"], "form": ",".join(form), "sums": [0] * len(form), "input": reads_input, "result": is_result}
        tasks, slots, skewed, launch = info["Number of Tasks"], self.executors * CORES, self.random.randrange(info["Number of Tasks"]), self.now
        for first in range(0, tasks, slots):
            launch = self.one_wave(stage, first, min(slots, tasks - first), skewed, launch)
        for executor in range(1, min(self.executors, tasks) + 1):
            self.out.write('{"Event":"SparkListenerStageExecutorMetrics","Executor ID":"%d","Stage ID":%d,"Stage Attempt ID":0,"Executor Metrics":{%s}}\n' % (
                executor, stage["id"], ",".join('"%s":%d' % (m, (executor * 7919 + i) * 4096 if i < 10 else 0) for i, m in enumerate(PEAKS))))
        info["Completion Time"] = self.now
        info["Accumulables"] = [{"ID": base + i, "Name": "internal.metrics." + m, "Value": stage["sums"][i], "Internal": True, "Count Failed Values": True}
                                for i, m in enumerate(INTERNAL)]
        if fails:
            info["Failure Reason"] = f"Job aborted due to stage failure: Task 3 in stage {stage['id']}.0 failed 4 times"
        self.event("SparkListenerStageCompleted", Stage_Info=info)
        self.now += 15

    # ---- tasks ----

    def one_wave(self, stage, first, count, skewed, launch):
        wave, longest = [], 0
        for i in range(first, first + count):
            executor = (self.task * 7 + self.job) % self.executors + 1
            took = 300 + int(self.random.expovariate(1 / 2500)) + (60000 if i == skewed else 0)
            luck = self.random.random()
            outcome = SUCCESS if luck > 0.006 else FAILED if luck > 0.003 else KILLED if luck > 0.0015 else LOST
            at = launch + (i - first) % 50
            wave.append(self.start(stage, i, 0, at, at + took, executor, ("PROCESS_LOCAL", "NODE_LOCAL", "ANY")[self.task % 3], outcome))
            if outcome != SUCCESS:  # tried again elsewhere
                wave.append(self.start(stage, i, 1, at + took, at + 2 * took, executor % self.executors + 1, "ANY", SUCCESS))
            longest = max(longest, took)
        for t in sorted(wave):
            self.end(stage, *t)
        self.now = max(self.now, max(wave)[0])
        return launch + longest // 3 + 50

    def start(self, stage, index, attempt, launch, finish, executor, locality, outcome):
        speculative = "true" if outcome == KILLED else "false"
        self.out.write(TASK_START % (stage["id"], self.task, index, attempt, index, launch, executor, host(executor), locality, speculative))
        self.task += 1
        return finish, self.task - 1, index, attempt, launch, executor, locality, speculative, outcome

    def end(self, stage, finish, task, index, attempt, launch, executor, locality, speculative, outcome):
        rnd = self.random.random
        run = max(1, finish - launch - 20 - int(rnd() * 15))
        records = int(rnd() * 90000) + 1
        size = records * 57
        read, read_records = (0, 0) if stage["input"] else (size, records)
        taken, taken_records = (size, records) if stage["input"] else (0, 0)
        written, written_records, write_time = (0, 0, 0) if stage["result"] else (size * 2 // 5, records, int(rnd() * 3e7))
        spilled, wait, gc = size * 6 if run > 20000 else 0, int(rnd() * 40) if read else 0, run // 25
        blocks = (40, 9) if read else (0, 0)
        values = [int(rnd() * 30), int(rnd() * 9e6), run, run * 800000, 1500 + int(rnd() * 4000), gc, int(rnd() * 3), spilled, spilled // 5, size * 3, *blocks,
                  read * 4 // 5, read // 5, wait, read_records, written, written_records, write_time, taken, taken_records]
        accumulables = ""
        if outcome == SUCCESS:
            shown = values + [records, run, size, written, write_time, read_records, wait, size * 3, spilled, run][:len(stage["sums"]) - len(values)]
            sums = stage["sums"] = [a + b for a, b in zip(stage["sums"], shown)]
            accumulables = stage["form"] % tuple(v for pair in zip(shown, sums) for v in pair)
        reason = ('{"Reason":"Success"}',
                  '{"Reason":"ExceptionFailure","Class Name":"java.lang.OutOfMemoryError","Description":"Unable to acquire 65536 bytes of memory, got 0","Stack Trace":[],'
                  '"Full Stack Trace":%s,"Accumulator Updates":[]}' % json.dumps("java.lang.OutOfMemoryError: Unable to acquire\n" + STACK),
                  '{"Reason":"TaskKilled","Kill Reason":"another attempt succeeded","Accumulator Updates":[]}',
                  '{"Reason":"ExecutorLostFailure","Executor ID":"%d","Exit Caused By App":true,"Loss Reason":"exit code 137"}' % executor)[outcome]
        info = TASK_INFO % (task, index, attempt, index, launch, executor, host(executor), locality, speculative, finish, "true" if outcome in (FAILED, LOST) else "false",
                            "true" if outcome == KILLED else "false", accumulables)
        text = '{"Event":"SparkListenerTaskEnd","Stage ID":%d,"Stage Attempt ID":0,"Task Type":"%s","Task End Reason":%s,%s,%s' % (
            stage["id"], "ResultTask" if stage["result"] else "ShuffleMapTask", reason, info, TASK_PEAKS % (900000000 + int(rnd() * 2e9), 150000000, size, size, 20000, gc))
        if outcome != LOST:
            output, output_records = (size // 9, records // 9) if stage["result"] else (0, 0)
            text += "," + TASK_METRICS % (values[0], values[1], run, values[3], size * 3, size * 3, values[4], gc, values[6], spilled, spilled // 5, *blocks, wait, values[12],
                                          values[13], read_records, wait, written, write_time, written_records, taken, taken_records, output, output_records)
        self.out.write(text + "}\n")

    def end_application(self):
        self.event("SparkListenerApplicationEnd", Timestamp=self.now)


def write_log(path, app, tasks, executors=200, per_stage=2000, environment=120, seed=1):
    with open(path, "w", buffering=1 << 20) as out:
        g = Generator(out, app, tasks, executors, per_stage, environment, seed)
        g.begin()
        while g.left > 0:
            g.one_job()
        g.end_application()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--executors", type=int, default=200)
    parser.add_argument("--per-stage", type=int, default=2000)
    parser.add_argument("--name", default="synthetic")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--zstd", action="store_true", help="pack it with the program of that name")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    write_log(a.out / a.name, a.name, a.tasks, a.executors, a.per_stage)
    if a.zstd:
        subprocess.run(["zstd", "-q", "-1", "--rm", "-f", str(a.out / a.name), "-o", str(a.out / (a.name + ".zstd"))], check=True)


if __name__ == "__main__":
    main()
