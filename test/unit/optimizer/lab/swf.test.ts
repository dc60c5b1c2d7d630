import { expect, test } from 'vitest'
import { parseSwf, partOf } from '../../../../optimizer/lab/swf.ts'
import { swfTrace } from '../../../../optimizer/lab/swf-trace.ts'
import type { Instance, Trace } from '../../../../optimizer/lab/trace.ts'

const only = (trace: Trace, load?: number): Instance => [...trace.instances(0, load)][0]!

interface Line {
  readonly at?: number
  readonly run?: number
  readonly wide?: number
  readonly status?: number
  readonly user?: number
}

/** A line of a log. */
function line(job: number, { at = job * 10, run = 50, wide = 2, status = 1, user = 7 }: Line = {}): string {
  return `${job} ${at} -1 ${run} ${wide} -1 -1 -1 60 -1 ${status} ${user} 3 -1 -1 -1 -1 -1`
}

const TWO = [line(1), line(2)]

test.each([
  ['; MaxProcs: 128', 128],
  [';MaxProcs:128', 128],
  ['; maxprocs : 128 (some comment)', 128],
  ['; MaxProcs: 128; two partitions', 128],
  ['; MaxProcs: 163,840', 163_840],
  ['; MaxProcs: 1024 x86 processors', 1024],
  ['; MaxProcs: 512 x86_64', 512],
  ['; MaxProcs: -1', 0],
  ['; MaxProcs:', 0],
  ['; MaxProcs: unknown', 0],
  ['; Note: MaxProcs: 128', 0]
])('the header %j says %i processors', (header, processors) => {
  expect(parseSwf([header, ...TWO], 'log.swf').maxProcs).toBe(processors)
})

test.each(['128.5', '1e3', '12k', '128x4', '128 x 4', '96 + 32', '16,38', '96*2'])(
  'the size %j is no whole number, and is refused with its line',
  (size) => {
    expect(() => parseSwf([';', `; MaxProcs: ${size}`, ...TWO], 'log.swf')).toThrow(
      `log.swf:2: field MaxProcs: got ${JSON.stringify(size)}, expected a whole number`
    )
  }
)

test('without MaxProcs the nodes are taken for processors, which is told', () => {
  const log = parseSwf(['; MaxNodes: 144 (128+16)', ...TWO], 'log.swf')
  expect(log.maxProcs).toBe(144)
  expect(swfTrace('log', log)).toMatchObject({
    defaultLoad: undefined,
    notes: ['the header has no MaxProcs: MaxNodes, 144, is taken for processors']
  })
  const both = parseSwf(['; MaxProcs: 64', '; MaxNodes: 144', ...TWO], 'log.swf')
  expect([both.maxProcs, both.notes]).toEqual([64, []])
})

test('of several sizes the largest counts, and a log that tells none says so', () => {
  const grew = parseSwf(['; MaxProcs: 64', '; MaxProcs: 32', ...TWO, '; MaxProcs: 96'], 'log.swf')
  expect([grew.maxProcs, grew.notes]).toEqual([
    96,
    ["the header tells the machine's size as 64, 32, 96: the largest counts"]
  ])
  expect(only(swfTrace('log', parseSwf(TWO, 'log.swf')), 0.9).notes).toEqual([
    'the log tells no size of its machine: the load sets the processors'
  ])
})

const SIZED = ['; MaxProcs: 8']

test('a job that has a line of its own does not run once more for each of its parts', () => {
  const parts = [line(1, { run: 60, status: 2 }), line(1, { at: -1, run: 40, status: 3 })]
  const log = parseSwf([...SIZED, line(1, { run: 100 }), ...parts, line(2)], 'log.swf')
  expect(log.jobs.map(({ job, runS }) => [job, runS])).toEqual([
    [1, 100],
    [2, 50]
  ])
  expect(log.notes).toEqual([
    '2 lines of parts of jobs (status 2 to 4) that have a line of their own do not count again'
  ])
  expect(log.leftOut).toEqual([])
})

test('parts of a job that has no other line are put together, whole or failed as the last one says', () => {
  const lines = [
    line(1, { at: 30, run: 60, status: 2 }),
    line(2, { at: 5, run: 10, status: 2 }),
    line(1, { at: -1, run: 40, wide: 4, status: 3 }),
    line(2, { at: -1, run: 10, status: 4 })
  ]
  const log = parseSwf([...SIZED, ...lines], 'log.swf')
  expect(
    log.jobs.map(({ job, submitS, runS, processors, status }) => [job, submitS, runS, processors, status])
  ).toEqual([
    [2, 5, 20, 2, 0],
    [1, 30, 100, 4, 1]
  ])
  expect(log.notes).toEqual(['4 lines of parts of jobs (status 2 to 4) are put together to 2 jobs'])
})

test('parts are told apart where a number comes again, put together in any order, and refused without a number', () => {
  const lines = [
    line(1, { at: 0, run: 10, status: 2 }),
    line(1, { at: -1, run: 10, status: 3 }),
    line(1, { at: 90, run: 30, status: 2 }),
    line(1, { at: -1, run: 5, status: 4 }),
    line(2, { at: -1, run: 5, status: 3 }),
    line(2, { at: 50, run: 20, status: 2 })
  ]
  const log = parseSwf([...SIZED, ...lines], 'log.swf')
  expect(log.jobs.map(({ job, submitS, runS, status }) => [job, submitS, runS, status])).toEqual([
    [1, 0, 20, 1],
    [2, 50, 25, 1],
    [1, 90, 35, 0]
  ])
  expect(() => parseSwf([...SIZED, line(1), line(-1, { at: 5, status: 2 })], 'log.swf')).toThrow(
    'log.swf:3: field job number: got -1, expected a number: the line is a part of a job'
  )
})

test('jobs of an unknown time of submission stand where their lines do, however many follow each other', () => {
  const lines = [line(1, { at: 100 }), line(2, { at: -1 }), line(3, { at: -1 }), line(4, { at: 200 })]
  const log = parseSwf([...SIZED, ...lines], 'log.swf')
  expect(partOf(log, 0, 1).leftOut).toEqual([])
  expect(partOf(log, 1).leftOut.map(({ job }) => job)).toEqual([2, 3])
})

test('what a job that is left out lacks is told, with its share of the work', () => {
  const lines = [
    line(1),
    line(2, { run: 0 }),
    line(3, { run: -1 }),
    line(4, { wide: -1 }),
    line(5, { at: -1 })
  ]
  expect(swfTrace('log', parseSwf([...SIZED, ...lines], 'log.swf')).leftOut).toEqual({
    tasks: 4,
    of: 5,
    workShare: 0.5,
    why: 'that never ran, or came nobody knows when: 2 without a run time, 1 without processors, 1 without a time of submission'
  })
  expect(() => parseSwf([...SIZED, line(1, { run: 0 })], 'log.swf')).toThrow(
    'log.swf:1: field line: got "only jobs 1 without a run time", expected at least one job that ran'
  )
})

test('a part of a log has its own jobs left out, and those of no other part', () => {
  const lines = [1, 2, 3, 4, 5, 6, 7, 8].map((job) => line(job, { run: job % 2 === 0 ? 0 : 50 }))
  const log = parseSwf([...SIZED, ...lines.toReversed()], 'log.swf')
  const numbers = (from: number, count?: number): number[][] => {
    const { jobs, leftOut } = partOf(log, from, count)
    return [jobs, leftOut].map((some) => some.map(({ job }) => job).sort((a, b) => a - b))
  }
  expect(numbers(0)).toEqual([
    [1, 3, 5, 7],
    [2, 4, 6, 8]
  ])
  expect(numbers(0, 2)).toEqual([[1, 3], [2]])
  expect(numbers(2, 1)).toEqual([[5], [4]])
  expect(numbers(3)).toEqual([[7], [6, 8]])
})

test('jobs of nobody, and columns beyond the last, are told of', () => {
  const log = parseSwf([...SIZED, line(1, { user: -1 }), `${line(2)} 9`], 'log.swf')
  expect(swfTrace('log', log).notes).toEqual([
    '1 lines have more than 18 columns: the others are not read',
    '1 jobs name no user: they count as those of one tenant'
  ])
})

test('jobs that come all at once run on the machine of the log, since no load can be set', () => {
  const log = parseSwf([...SIZED, line(1, { at: 7 }), line(2, { at: 7 })], 'log.swf')
  const instance = only(swfTrace('log', log), 0.9)
  expect(instance.cluster[0]?.slots).toBe(8)
  expect(instance.notes).toEqual([
    'all jobs come at the same time, so that no load can be set: the machine has 8 processors'
  ])
})

test('no schedule ends before the last job to come could', () => {
  const log = parseSwf([...SIZED, line(1, { at: 100 }), line(2, { at: 900, run: 30 })], 'log.swf')
  expect(only(swfTrace('log', log)).makespanBoundMs).toBe(830_000)
})

test('tabs, carriage returns and blanks around fields are no part of them', () => {
  const spaced = [` ${line(1)} \r`, line(2).replaceAll(' ', '\t'), '  ; a remark\r', '\r', '']
  expect(parseSwf(spaced, 'log.swf').jobs).toEqual(parseSwf(TWO, 'log.swf').jobs)
})
