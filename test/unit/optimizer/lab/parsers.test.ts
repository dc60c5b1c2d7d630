import { expect, test } from 'vitest'
import { parseOpenbNodes, parseOpenbPods, openbTrace } from '../../../../optimizer/lab/openb.ts'
import { parseSwf } from '../../../../optimizer/lab/swf.ts'
import { swfTrace } from '../../../../optimizer/lab/swf-trace.ts'
import { parseTpch } from '../../../../optimizer/lab/tpch.ts'
import { tpchTrace, TPCH_DEFAULTS } from '../../../../optimizer/lab/tpch-trace.ts'
import { parseVmNoise } from '../../../../optimizer/lab/vm-noise.ts'
import { parseWorkflows } from '../../../../optimizer/lab/wfinstances.ts'
import { workflowTrace } from '../../../../optimizer/lab/wfinstances-trace.ts'
import type { Instance, Trace } from '../../../../optimizer/lab/trace.ts'

const only = (trace: Trace, load?: number): Instance => [...trace.instances(0, load)][0]!

const SWF = [
  '; Version: 2.2',
  '; MaxProcs: 8',
  ';',
  '2 100 -1 50 -1 -1 -1 4 60 -1 1 7 3 -1 -1 -1 -1 -1',
  '1   0 10 20  2 -1 64 2 30 -1 1 6 3  9  2  1 -1 -1',
  '3 120 -1 -1 4 -1 -1 4 60 -1 5 7 3 -1 -1 -1 -1 -1',
  ''
]

test('an SWF log is read in order of submission, without jobs that never ran', () => {
  const log = parseSwf(SWF, 'log.swf')
  expect(log).toMatchObject({ maxProcs: 8, leftOut: [{ job: 3, lacks: 'a run time' }] })
  expect(
    log.jobs.map(({ job, processors, runS, requestedS }) => [job, processors, runS, requestedS])
  ).toEqual([
    [1, 2, 20, 30],
    [2, 4, 50, 60]
  ])
})

test('an SWF job becomes a task on one pool node', () => {
  const instance = only(swfTrace('log', parseSwf(SWF, 'log.swf')))
  expect(instance.cluster).toMatchObject([{ slots: 8, resources: { cpu: 8000 } }])
  expect(instance.workload.tasks[0]).toMatchObject({
    tenant: 'u6',
    name: 'g3/e9/q2',
    resources: { cpu: 2000 },
    limitMs: 30_000,
    workMs: 20_000,
    peakMemoryBytes: 64 * 1024 * 2
  })
})

test('a load sets the number of processors, but never below the widest job', () => {
  const log = parseSwf(SWF, 'log.swf')
  // Work is 2 × 20 + 4 × 50 = 240 processor-seconds in 100 s.
  expect(only(swfTrace('log', log), 0.4).cluster[0]!.slots).toBe(6)
  expect(only(swfTrace('log', log), 2).cluster[0]!.slots).toBe(4)
  expect(only(swfTrace('log', log), 0.4).load).toBeCloseTo(0.4)
})

test('seed 0 is the log itself; other seeds shake its arrivals and nothing else', () => {
  const [first, second] = [0, 1].map(
    (seed) => [...swfTrace('log', parseSwf(SWF, 'log.swf')).instances(seed, 1)][0]!
  )
  expect(first!.workload.tasks.map(({ submittedAt }) => submittedAt)).toEqual([0, 100_000])
  expect(second!.workload.tasks[1]!.submittedAt).not.toBe(100_000)
  expect(second!.workload.tasks.map(({ workMs }) => workMs)).toEqual(
    first!.workload.tasks.map(({ workMs }) => workMs)
  )
})

const TEN = Array.from(
  { length: 10 },
  (_, index) => `${index + 1} ${index * 60} 0 ${index + 1} 1 0 0 1 9 0 1 1 1 1 1 1`
)

test('windows of a log overlap, the first begins with it and the last ends with it', () => {
  const log = parseSwf(TEN, 'log.swf')
  const runTimes = (count: number, length?: number): number[][] =>
    [...swfTrace('log', log, { count, jobs: length }).instances(0, 1)].map(({ workload }) =>
      workload.tasks.map(({ workMs }) => workMs / 1000)
    )
  expect(runTimes(3, 4)).toEqual([
    [1, 2, 3, 4],
    [4, 5, 6, 7],
    [7, 8, 9, 10]
  ])
  expect(runTimes(3).map((window) => window.length)).toEqual([5, 5, 5])
  expect(runTimes(1)).toHaveLength(1)
  expect(runTimes(2, 9).map(([first]) => first)).toEqual([1, 2])
})

test('windows so long that some would be the same are refused, and what fits is told', () => {
  const log = parseSwf(TEN, 'log.swf')
  expect(() => swfTrace('log', log, { count: 2, jobs: 99 })).toThrow(
    'log: got 2 windows of 10 jobs, expected windows of at most 9 jobs (5 without overlap): the log has 10'
  )
  expect(() => swfTrace('log', log, { count: 11 })).toThrow(/got 11 windows of 1 jobs/)
  expect(swfTrace('log', log, { count: 1, jobs: 99 }).notes).toEqual([])
})

test('windows say which they are, for all seeds alike, and how far they overlap', () => {
  const trace = swfTrace('log', parseSwf(TEN, 'log.swf'), { count: 3 })
  const samples = (seed: number): unknown[] => [...trace.instances(seed, 1)].map(({ sample }) => sample)
  expect(samples(0)).toEqual(['window 1', 'window 2', 'window 3'])
  expect(samples(4)).toEqual(samples(0))
  expect(trace.notes).toEqual([
    'each window shares 50 % of its 5 jobs with the next: windows are not independent'
  ])
  expect(swfTrace('log', parseSwf(TEN, 'log.swf'), { count: 2, jobs: 5 }).notes).toEqual([])
  expect(only(swfTrace('log', parseSwf(TEN, 'log.swf'))).sample).toBeUndefined()
})

test('a load that the widest job rules out, a header that it does, and jobs that are left out are told of', () => {
  const log = parseSwf(SWF, 'log.swf')
  expect(only(swfTrace('log', log), 2).notes).toEqual([
    'load 2 would take 1 processors, but the widest job asks for 4: the load is lower'
  ])
  expect(only(swfTrace('log', log)).notes).toEqual([])
  expect(only(swfTrace('log', { ...log, maxProcs: 3 })).notes).toEqual([
    'a job asks for 4 processors, but MaxProcs is 3: the machine has 4'
  ])
  expect(swfTrace('log', log).leftOut).toMatchObject({ tasks: 1, of: 3 })
})

test('times may have decimals', () => {
  const [job] = parseSwf(['1 0.5 -1 50.25 4 49.75 -1 4 60 -1 1 7 3 -1 -1 -1'], 'log.swf').jobs
  expect(job).toMatchObject({ submitS: 0.5, runS: 50.25 })
})

test('of an SWF log the first jobs to come are taken, wherever their lines are', () => {
  expect(parseSwf(SWF, 'log.swf', 1).jobs.map(({ job }) => job)).toEqual([1])
})

test('a job that came nobody knows when is left out', () => {
  const log = parseSwf(['1 -1 -1 50 4 -1 -1 4 60 -1 1 7 3 -1 -1 -1', ...SWF], 'log.swf')
  expect(log.leftOut.map(({ lacks }) => lacks)).toEqual(['a time of submission', 'a run time'])
  expect(log.jobs).toEqual(parseSwf(SWF, 'log.swf').jobs)
})

test.each([
  ['1 2 3', /log\.swf:1: field count: got 3, expected 16 to 18 numbers/],
  ['1 x -1 50 4 -1 -1 4 60 -1 1 7 3 -1 -1 -1', /log\.swf:1: field submit time: got "x", expected a number/],
  ['1 -5 -1 50 4 -1 -1 4 60 -1 1 7 3 -1 -1 -1', /field submit time: got -5, expected seconds ≥ 0/],
  [
    '1 0 -1 1e300 4 -1 -1 4 60 -1 1 7 3 -1 -1 -1',
    /:1: field run time: got 1e\+300, expected seconds, up to 100 y/
  ],
  [
    '1 4e9 -1 50 4 -1 -1 4 60 -1 1 7 3 -1 -1 -1',
    /field submit time: got 4000000000, expected seconds, up to/
  ],
  [
    '1 0 -1 50 1e9 -1 -1 4 60 -1 1 7 3 -1 -1 -1',
    /field allocated processors: got 1000000000, expected ≤ 100000000/
  ],
  [
    '1 0 -1 50 2.5 -1 -1 4 60 -1 1 7 3 -1 -1 -1',
    /log\.swf:1: field allocated processors: got "2\.5", expected a whole number/
  ],
  ['1 0 -1 50 0x10 -1 -1 4 60 -1 1 7 3 -1 -1 -1', /allocated processors: got "0x10", expected a number/],
  ['1 0 -1 50 4 -1 -1 4 60 -1 1 7.5 3 -1 -1 -1', /field user: got "7\.5", expected a whole number/],
  ['; MaxProcs: 999999999', /log\.swf:1: field MaxProcs: got 999999999, expected ≤ 100000000/],
  ['; MaxProcs: 8', /log\.swf:1: field line: got nothing, expected at least one job that ran/]
])('the malformed SWF line %j names line, field, got and expected', (line, message) => {
  expect(() => parseSwf([line], 'log.swf')).toThrow(message)
})

const STAGE = { id: 0, tasks: 2, parents: [], first: { 5: [40, 10] }, rest: { 5: [20] }, fresh: { 5: [40] } }
const JOB = { id: 'q', stages: [STAGE, { ...STAGE, id: 1, parents: [0], tasks: 3 }] }

test('first-wave durations lose the fresh ones among them', () => {
  const stage = parseTpch([JSON.stringify(JOB)], 'jobs.jsonl')[0]!.stages[0]!
  expect(stage.first).toEqual({ counts: [5], values: [[10]] })
  expect(stage).toMatchObject({ meanMs: (40 + 10 + 20) / 3, leastMs: 10 })
})

test('stages become tasks that wait for all tasks of their parents', () => {
  const trace = tpchTrace('jobs', parseTpch([JSON.stringify(JOB)], 'jobs.jsonl'), {
    ...TPCH_DEFAULTS,
    jobs: 2,
    executors: 3
  })
  const { workload, cluster } = only(trace)
  expect(cluster).toHaveLength(3)
  expect(workload.tasks.map(({ id, group, needs }) => [id, group, needs])).toEqual([
    [1, 1, []],
    [2, 1, []],
    ...[3, 4, 5].map((id) => [id, 1, [1, 2]]),
    [6, 6, []],
    [7, 6, []],
    ...[8, 9, 10].map((id) => [id, 6, [6, 7]])
  ])
})

test('a task says its query, its stage and its part of the declared input, and a job without them is a query of its own', () => {
  const told = (job: object): [string, string, number][] =>
    only(
      tpchTrace('jobs', parseTpch([JSON.stringify(job)], 'jobs.jsonl'), { ...TPCH_DEFAULTS, jobs: 1 })
    ).workload.tasks.map(({ tenant, name, inputBytes }) => [tenant, name, inputBytes])
  expect(told({ ...JOB, query: 3, size: '2g' })).toEqual([
    ...Array.from({ length: 2 }, () => ['q3', 'q3/s0', 1e9]),
    ...Array.from({ length: 3 }, () => ['q3', 'q3/s1', 666_666_667])
  ])
  expect(told(JOB)[0]).toEqual(['q', 'q/s0', 0])
  expect(told({ ...JOB, size: 'large' })[0]).toEqual(['q', 'q/s0', 0])
})

test.each([
  ['{"id":"q"}', /jobs\.jsonl:1: field stages: got nothing/],
  ['not json', /field line: got "not json", expected a JSON object/],
  [JSON.stringify({ id: 'q', stages: [{ ...STAGE, parents: [4] }] }), /stages\[0\]\.parents: got \[4\]/],
  [
    JSON.stringify({ id: 'q', stages: [{ ...STAGE, rest: { 5: ['x'] } }] }),
    /stages\[0\]\.rest\.5\[0\]: got "x"/
  ],
  [
    JSON.stringify({ id: 'q', stages: [{ ...STAGE, rest: { 5: [1e15] } }] }),
    /stages\[0\]\.rest\.5\[0\]: got 1000000000000000, expected milliseconds ≥ 0, up to 100 years/
  ],
  [
    JSON.stringify({ id: 'q', stages: [{ ...STAGE, tasks: 1.5 }] }),
    /stages\[0\]\.tasks: got 1\.5, expected a whole/
  ],
  [
    JSON.stringify({ id: 'q', stages: [STAGE, { ...STAGE, parents: [2] }, { ...STAGE, parents: [1] }] }),
    /jobs\.jsonl:1: field stages\[1\]\.parents: got \[1,2,1\], expected no cycle/
  ],
  ['', /jobs\.jsonl:1: field line: got nothing, expected at least one job/]
])('a malformed TPC-H line names what is wrong', (line, message) => {
  expect(() => parseTpch([line], 'jobs.jsonl')).toThrow(message)
})

const WORKFLOW = {
  id: 'w',
  app: 'demo',
  tasks: [
    { n: 'a', t: 4, in: 10, m: 99 },
    { n: 'b', p: [[0, 5]], t: 8 },
    { n: 'b', p: [[0, 7]] }
  ]
}

test('a workflow becomes one group on nodes of different speed', () => {
  const trace = workflowTrace('flows', parseWorkflows([JSON.stringify(WORKFLOW)], 'flows.jsonl'), 4)
  const instance = only(trace)
  expect(instance.workload.tasks.map(({ group, needs, workMs }) => [group, needs, workMs])).toEqual([
    [1, [], 4000],
    [1, [1], 8000],
    [1, [1], 1]
  ])
  const speeds = instance.cluster.map(({ speeds }) => speeds['cpu']!)
  expect(Math.min(...speeds)).toBeGreaterThanOrEqual(0.5)
  expect(Math.max(...speeds)).toBeLessThan(1.5)
  const critical = 12_000 / Math.max(...speeds)
  expect(instance.makespanBoundMs).toBeCloseTo(Math.max(critical, 12_001 / speeds.reduce((a, b) => a + b)))
})

test.each([
  [
    { ...WORKFLOW, tasks: [{ n: 'a', p: [[3, 1]] }] },
    /flows\.jsonl:1: field tasks\[0\]\.p\[0\]: got \[3,1\]/
  ],
  [{ ...WORKFLOW, tasks: [{ t: 1 }] }, /field tasks\[0\]\.n: got nothing, expected a string/],
  [{ ...WORKFLOW, tasks: [{ n: 'a', t: -1 }] }, /field tasks\[0\]\.t: got -1/],
  [{ schemaVersion: '1.5', workflow: {} }, /field workflow: got "WfFormat 1\.5", expected none: a line has/],
  [
    { ...WORKFLOW, tasks: [{ n: 'a', t: 1e308 }] },
    /jsonl:1: field tasks\[0\]\.t: got 1e\+308, expected seconds ≥ 0, up to 100 years/
  ],
  [
    { ...WORKFLOW, tasks: [{ n: 'a', p: [[0, -1]] }] },
    /field tasks\[0\]\.p\[0\]: got -1, expected a number ≥ 0/
  ],
  [
    { ...WORKFLOW, tasks: [{ n: 'a' }, { n: 'b', p: [[2, 0]] }, { n: 'c', p: [[1, 0]] }] },
    /flows\.jsonl:1: field tasks\[1\]\.p: got \[1,2,1\], expected no cycle/
  ]
])('a malformed workflow names what is wrong', (workflow, message) => {
  expect(() => parseWorkflows([JSON.stringify(workflow)], 'flows.jsonl')).toThrow(message)
})

test('what JSON reads as infinite is refused, and so is a file without a workflow', () => {
  const endless = JSON.stringify(WORKFLOW).replace('"t":4', '"t":1e999')
  expect(() => parseWorkflows(['', endless], 'flows.jsonl')).toThrow(
    /flows\.jsonl:2: field tasks\[0\]\.t: got Infinity/
  )
  expect(() => parseWorkflows(['', ' '], 'flows.jsonl')).toThrow(
    /flows\.jsonl:1: field line: got nothing, expected at least one workflow/
  )
})

const PODS = `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p1,4000,1024,1,500,T4|A10,LS,Running,10,110,20
p2,1000,1,2,1000,,BE,Failed,0,100,5
p3,1000,1,0,0,,BE,Pending,0,100,
`
const NODES = `sn,cpu_milli,memory_mib,gpu,model
n1,8000,4096,2,T4
n2,8000,4096,2,G2
`

test('pods run where their GPU model is, and ask for parts of GPUs', () => {
  const trace = openbTrace('openb', parseOpenbPods(PODS, 'pods.csv'), parseOpenbNodes(NODES, 'nodes.csv'))
  const { workload, cluster } = only(trace)
  expect(
    workload.tasks.map(({ submittedAt, workMs, resources, nodeSelector }) => [
      submittedAt,
      workMs,
      resources,
      nodeSelector
    ])
  ).toEqual([
    [0, 95_000, { cpu: 1000, memory: 2 ** 20, gpu: 2000 }, {}],
    [10_000, 90_000, { cpu: 4000, memory: 2 ** 30, gpu: 500 }, { 'gpu:T4|A10': 'yes' }]
  ])
  expect(cluster.map(({ labels }) => labels)).toEqual([{ 'gpu:T4|A10': 'yes' }, {}])
})

test('a malformed cell names file, line and column', () => {
  expect(() => parseOpenbPods(PODS.replace('4000', 'many'), 'pods.csv')).toThrow(
    /pods\.csv:2: field cpu_milli: got "many", expected a number/
  )
  expect(() => parseOpenbNodes('sn,cpu_milli\nn1', 'nodes.csv')).toThrow(
    /nodes\.csv:2: field count: got 1, expected 2 cells/
  )
  expect(() => parseOpenbNodes('sn\nn1', 'nodes.csv')).toThrow(/nodes\.csv:1: field cpu_milli/)
})

test.each([
  ['p1,4000', 'p1,-5', /:2: field cpu_milli: got -5, expected a number ≥ 0/],
  [',10,110,20', ',10,110,9', /:2: field scheduled_time: got 9, expected ≥ creation_time, 10/],
  [',10,110,20', ',10,15,20', /:2: field deletion_time: got 15, expected ≥ scheduled_time, 20/],
  ['T4|A10', 'V100', /:2: field gpu_spec: got "V100", expected a model that some node has/],
  [
    'p1,4000',
    'p1,9000',
    /:2: field cpu_milli: got 9000, expected at most 8000, so that a node holds the pod/
  ],
  ['4000,1024', '4000,8192', /:2: field memory_mib: got 8192, expected at most 4096/],
  ['p2,1000,1,2', 'p2,1000,1,3', /:3: field gpu_milli: got 3000, expected at most 2000/]
])('a pod that cannot be is refused with its line: %s → %s', (from, to, message) => {
  const nodes = parseOpenbNodes(NODES, 'nodes.csv')
  expect(() => openbTrace('openb', parseOpenbPods(PODS.replace(from, to), 'pods.csv'), nodes)).toThrow(
    message
  )
})

test('the bound on the makespan counts from the first submission, as the makespan does', () => {
  const later = PODS.replace(',0,100,5', ',1000,1100,1005').replace(',10,110,20', ',1010,1110,1020')
  const nodes = parseOpenbNodes(NODES, 'nodes.csv')
  const [at0, at1000] = [PODS, later].map(
    (text) => only(openbTrace('openb', parseOpenbPods(text, 'pods.csv'), nodes)).makespanBoundMs
  )
  expect([at0, at1000]).toEqual([100_000, 100_000])
})

test('pods that were never scheduled are told of', () => {
  const trace = openbTrace('openb', parseOpenbPods(PODS, 'pods.csv'), parseOpenbNodes(NODES, 'nodes.csv'))
  expect(trace.leftOut).toMatchObject({ tasks: 1, of: 3, workShare: 0 })
})

test('tables with absurd times, or without rows, are refused', () => {
  expect(() => parseOpenbPods(PODS.replace(',10,110,', ',10,1e300,'), 'pods.csv')).toThrow(
    /pods\.csv:2: field deletion_time: got 1e\+300, expected seconds ≥ 0, up to 100 years/
  )
  expect(() => parseOpenbPods('', 'pods.csv')).toThrow(
    /pods\.csv:1: .* expected at least one pod that was scheduled/
  )
  expect(() => parseOpenbNodes('', 'nodes.csv')).toThrow(/nodes\.csv:1: .* expected at least one node/)
})

test('machine noise is read as quantiles of speed by kind', () => {
  const series = (test_name: string, values: number[]): object => ({
    test_name,
    vm_lifespan: 'short',
    rel_speed_quantiles: values
  })
  const text = JSON.stringify({
    quantile_levels: [0, 50, 100],
    series: [series('Test:_CPU', [0.5, 1, 2]), series('Test:_CPU_Cache', [0.1, 1, 3])]
  })
  expect(parseVmNoise(text, 'noise.json')['memory']).toEqual({ levels: [0, 0.5, 1], values: [0.1, 1, 3] })
  expect(() => parseVmNoise('{}', 'noise.json')).toThrow(/noise\.json:1: field quantile_levels: got nothing/)
  expect(() => parseVmNoise('null', 'noise.json')).toThrow(
    /noise\.json:1: field file: got null, expected an object/
  )
  expect(() => parseVmNoise(text.replace('[0.5,', '[0,'), 'noise.json')).toThrow(
    /got \[0,1,2\], expected speeds above 0/
  )
})
