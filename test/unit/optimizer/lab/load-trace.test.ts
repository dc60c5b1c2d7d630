import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { loadTrace } from '../../../../bench/lab/load-trace.ts'
import type { LoadOptions } from '../../../../bench/lab/load-trace.ts'
import type { Instance, Trace } from '../../../../optimizer/lab/trace.ts'
import { labOutput } from '../../../helpers/lab-output.ts'

const lab = labOutput()

function loaded(name: string, data: string | Buffer, options: LoadOptions = {}): Trace {
  const path = join(lab.folder, name)
  writeFileSync(path, data)
  return loadTrace(path, options).trace
}

const instances = (trace: Trace): Instance[] => [...trace.instances(0, undefined)]
const times = (trace: Trace): number[] =>
  instances(trace).flatMap(({ workload }) => workload.tasks.map(({ workMs }) => workMs / 1000))

/** Jobs of 1, 2, 3, … s, the last to come first. */
const LOG = [
  '; MaxProcs: 4',
  ...[5, 4, 3, 2, 1].map((job) => `${job} ${job * 10} -1 ${job} 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1`)
].join('\n')

test('of a log in any order the first jobs, and those after some, are those that came then', () => {
  expect(times(loaded('a.swf', LOG, { limit: 2 }))).toEqual([1, 2])
  expect(times(loaded('a.swf', LOG, { from: 3, limit: 2 }))).toEqual([4, 5])
  expect(times(loaded('a.swf', LOG, { from: 1, windows: 2, limit: 2 }))).toEqual([2, 3, 4, 5])
  expect(() => loaded('a.swf', LOG, { from: 5 })).toThrow(
    '--from: got "5", expected fewer than the 5 jobs of the log'
  )
})

test('a byte order mark is no part of a trace, and a packed one is known whatever its name', () => {
  expect(times(loaded('a.swf', `\ufeff${LOG}`))).toEqual([1, 2, 3, 4, 5])
  expect(times(loaded('b.swf', gzipSync(LOG)))).toEqual([1, 2, 3, 4, 5])
  const [head = '', ...jobs] = LOG.split('\n')
  const members = Buffer.concat([gzipSync(`${head}\n`), gzipSync(jobs.join('\n'))])
  expect(times(loaded('c.swf.gz', members))).toEqual([1, 2, 3, 4, 5])
  const workflow = JSON.stringify({ id: 'w', tasks: [{ n: 'a', t: 4 }] })
  expect(times(loaded('d.jsonl', `\ufeff${workflow}\n`))).toEqual([4])
})

test('a packed log that ends too early is refused', () => {
  expect(() => loaded('a.swf.gz', gzipSync(LOG).subarray(0, 60))).toThrow(
    /trace .*a\.swf\.gz: got unexpected end of file, expected a readable file/
  )
})

test('workflows of one id are told apart, and so are those that are called like the second of them', () => {
  const lines = ['w', 'w', 'w (2)', 'w'].map((id) => JSON.stringify({ id, tasks: [{ n: 'a', t: 4 }] }))
  const trace = loaded('a.jsonl', lines.join('\n'))
  expect(
    instances(trace)
      .map(({ sample }) => sample)
      .sort()
  ).toEqual(['w', 'w (2)', 'w (3)', 'w (4)'])
  expect(trace.notes).toEqual(['2 workflows have the id of another: they are numbered'])
})

test('tasks of a workflow without a run time, and those that had several cores, are told of', () => {
  const tasks = [{ n: 'a' }, { n: 'b', t: 0 }, { n: 'c', t: 4, c: 4 }, { n: 'd', t: 1, c: 1 }]
  expect(loaded('a.jsonl', JSON.stringify({ id: 'w', tasks })).notes).toEqual([
    '2 of 4 tasks have no run time: they take 1 ms',
    '1 of 4 tasks had several cores: here each has a node of one slot'
  ])
})

test('pods of which nobody knows until when they ran are left out, and told apart from others', () => {
  writeFileSync(join(lab.folder, 'nodes.csv'), 'sn,cpu_milli,memory_mib,gpu,model\nn,8000,4096,2,T4\n')
  const header =
    'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time'
  const times = ['0,50,5', '1,,5', '2,90,', '3,,', '4,9,9']
  const pods = times.map((time, index) => `p${index},1000,1,0,0,,BE,Running,${time}`)
  expect(loaded('pods.csv', [header, ...pods].join('\r\n')).leftOut).toMatchObject({
    tasks: 4,
    of: 5,
    why: '1 that were deleted as they were scheduled, 1 that were never deleted, 2 that were never scheduled'
  })
  const more = [...pods, 'p9,1000,1,0,0,,BE,Running,9,20,10']
  expect(loaded('pods.csv', [header, ...more].join('\n'), { limit: 1 }).leftOut).toBeUndefined()
})

test('durations of a stage are by numbers of executors and by nothing else', () => {
  const stage = { id: 0, tasks: 1, parents: [], first: { five: [9] }, rest: { 5: [8] }, fresh: {} }
  expect(() => loaded('a.jsonl', JSON.stringify({ id: 'q', stages: [stage] }))).toThrow(
    /a\.jsonl:1: field stages\[0\]\.first: got "five", expected a number of executors/
  )
})
