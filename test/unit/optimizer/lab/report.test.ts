/** What a report says so that it can be made again, and what it refuses to be asked for. */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../../../bench/policies.ts'
import { labOutput } from '../../../helpers/lab-output.ts'
import type { UnitLine } from '../../../../node/cli/lab/task-file.ts'

const lab = labOutput()
const { out, errors } = lab

interface Report {
  readonly load: number
  readonly notes: readonly string[]
  readonly policies: readonly {
    readonly policy: string
    readonly meanJctS: number
    readonly boundedSlowdown: number
  }[]
  readonly runs: readonly {
    readonly policy: string
    readonly seed: number
    readonly instance: number
    readonly meanJctS: number
  }[]
}

const report = (): Report => JSON.parse(out.at(-1)!) as Report

/** Thirty jobs, the last of which asks for four processors; two more never ran. */
function log(): { path: string; text: string } {
  const jobs = Array.from(
    { length: 30 },
    (_, i) => `${i + 1} ${i * 10} -1 ${30 + i} ${i === 29 ? 4 : 1} -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1`
  )
  const never = [31, 32].map((job) => `${job} 500 -1 0 1 -1 -1 1 60 -1 5 1 1 1 1 1 -1 -1`)
  const text = ['; MaxProcs: 4', ...jobs, ...never, ''].join('\n')
  const path = join(lab.folder, 'log.swf')
  writeFileSync(path, text)
  return { path, text }
}

test('what was asked for, on what, and each run', async () => {
  const { path, text } = log()
  const argv = ['--trace', path, '--load', '1.9', '--windows', '2', '--limit', '20', '--seeds', '2']
  expect(await run([...argv, '--policies', 'easy', '--json'])).toBe(0)
  expect(report()).toMatchObject({
    options: { trace: path, policies: ['easy'], load: 1.9, windows: 2, limit: 20, seeds: 2, nodes: null },
    traceSha256: createHash('sha256').update(text).digest('hex'),
    leftOut: { tasks: 2, of: 32, workShare: 0 }
  })
  expect(report()).toMatchObject({ cluster: { first: { nodes: 1 }, mean: { nodes: 1 } } })
  const runs = report().runs.filter(({ policy }) => policy === 'easy')
  expect(runs).toMatchObject([
    { seed: 0, instance: 0, sample: 'window 1', tasks: 20 },
    { seed: 0, instance: 1, sample: 'window 2', tasks: 20 },
    { seed: 1, instance: 0, sample: 'window 1', tasks: 20 },
    { seed: 1, instance: 1, sample: 'window 2', tasks: 20 }
  ])
  const { meanJctS } = report().policies.find(({ policy }) => policy === 'easy')!
  expect(meanJctS).toBeCloseTo(runs.reduce((sum, one) => sum + one.meanJctS, 0) / 4)
  expect(out.join('\n')).toContain('left out: 2 of 32 tasks with 0.0% of the work: that never ran')
})

test('a load that cannot be had is told of, in the text and in JSON', async () => {
  const { path } = log()
  const html = join(lab.folder, 'report.html')
  expect(
    await run(['--trace', path, '--load', '1.9', '--policies', 'fifo-fit', '--html', html, '--json'])
  ).toBe(0)
  const [first, second] = report().notes
  expect(report().load).toBeLessThan(1.5)
  expect(first).toBe(`the load is ${report().load.toFixed(3)}, not the 1.9 that was aimed at`)
  expect(second).toMatch(/^load 1\.9 would take 3 processors, but the widest job asks for 4/)
  for (const note of [first, second]) {
    expect(out).toContain(`note: ${note}`)
    expect(readFileSync(html, 'utf8')).toContain(`<p>note: ${note}</p>`)
  }
})

test('--tasks has a line for each unit of each run, from which the figures follow', async () => {
  const file = join(lab.folder, 'tasks.ndjson')
  const argv = [
    '--trace',
    'synthetic',
    '--limit',
    '300',
    '--nodes',
    '2',
    '--seeds',
    '2',
    '--policies',
    'sjf-last2'
  ]
  expect(await run([...argv, '--tasks', file, '--json'])).toBe(0)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const units = lines.map((line) => JSON.parse(line) as UnitLine)
  const { runs, policies } = report()
  expect(units.length).toBeGreaterThan(0.95 * 300 * runs.length)
  runs.forEach((one, index) => {
    const own = units.filter(({ run: of }) => of === index)
    expect(own[0]).toMatchObject({ policy: one.policy, seed: one.seed })
    const jct = own.reduce((sum, unit) => sum + unit.finishedS - unit.submittedS, 0) / own.length
    expect(jct).toBeCloseTo(one.meanJctS, 6)
  })
  const fifo = units.filter(({ policy }) => policy === 'fifo-fit')
  const slowdown = (seed: number): number => {
    const own = fifo.filter((unit) => unit.seed === seed)
    return own.reduce((sum, unit) => sum + unit.slowdown, 0) / own.length
  }
  expect((slowdown(0) + slowdown(1)) / 2).toBeCloseTo(policies[0]!.boundedSlowdown, 6)
  for (const unit of units) {
    expect(unit.startedS).toBeGreaterThanOrEqual(unit.submittedS)
    expect(unit.finishedS).toBeGreaterThan(unit.startedS)
    expect([1, 2]).toContain(unit.node)
  }
  expect(Math.max(...units.map(({ attempts }) => attempts))).toBeGreaterThan(1)
})

test('groups have a line each in --tasks', async () => {
  const flows = join(lab.folder, 'flows.jsonl')
  const tasks = [
    { n: 'a', t: 4 },
    { n: 'b', t: 4, p: [[0, 1]] }
  ]
  writeFileSync(flows, ['w1', 'w2'].map((id) => JSON.stringify({ id, app: 'app', tasks })).join('\n'))
  const file = join(lab.folder, 'tasks.ndjson')
  const argv = ['--trace', flows, '--seeds', '1', '--policies', 'fifo-fit', '--tasks', file]
  expect(await run(argv)).toBe(0)
  const units = readFileSync(file, 'utf8').trimEnd().split('\n')
  expect(units.map((line) => JSON.parse(line) as UnitLine)).toMatchObject(
    [0, 1].map((of) => ({
      run: of,
      group: 1,
      name: 'a',
      tenant: 'app',
      startedS: 0,
      node: null,
      attempts: 2
    }))
  )
})

test('--tasks that cannot be written to is found before anything is read, and a full disk when it is full', async () => {
  expect(await run(['--trace', 'nowhere.swf', '--tasks', join(lab.folder, 'no', 'file')])).toBe(2)
  expect(errors.join('\n')).toMatch(
    /^bench: --tasks: got ".*" \(ENOENT: .*expected a file that can be written/
  )
  const small = ['--trace', 'synthetic', '--limit', '50', '--seeds', '1', '--policies', 'fifo-fit']
  expect(await run([...small, '--tasks', '/dev/full', '--json'])).toBe(2)
  // The figures are there, before the error.
  expect(JSON.parse(out.at(-2)!)).toMatchObject({ policies: [{ policy: 'fifo-fit' }] })
  expect(errors.at(-1)).toMatch(/--tasks: got "\/dev\/full" \(ENOSPC/)
  expect(readdirSync(lab.folder)).toEqual([])
})

test.each([
  [['--nodes', '7'], '--nodes: got "7", expected none: an SWF log (.swf) does not use it'],
  [['--gap', '2'], '--gap: got "2", expected none: an SWF log'],
  [['--jobs', '5'], '--jobs: got "5", expected none: an SWF log'],
  [['--noise', '/nope'], '--noise: got "/nope", expected none: an SWF log'],
  [
    ['--windows', '3', '--limit', '99'],
    'got 3 windows of 30 jobs, expected windows of at most 28 jobs (10 without overlap)'
  ]
])('%j is refused for a log', async (argv, message) => {
  expect(await run(['--trace', log().path, ...argv])).toBe(2)
  expect(errors.join('\n')).toContain(message)
})

const STAGE = { id: 0, tasks: 2, parents: [], first: { 5: [40] }, rest: { 5: [20] }, fresh: { 5: [40] } }

test.each([
  [
    'synthetic',
    '',
    ['--windows', '2'],
    '--windows: got "2", expected none: the synthetic trace does not use it'
  ],
  ['synthetic', '', ['--gap', '2'], '--gap: got "2"'],
  ['w.jsonl', '{"id":"w","tasks":[{"n":"a"}]}', ['--jobs', '2'], '--jobs: got "2", expected none: workflows'],
  [
    'q.jsonl',
    JSON.stringify({ id: 'q', stages: [STAGE] }),
    ['--noise', 'x'],
    '--noise: got "x", expected none: TPC-H'
  ],
  [
    'q.jsonl',
    JSON.stringify({ id: 'q', stages: [STAGE] }),
    ['--jobs', '2', '--limit', '2'],
    'none beside --jobs'
  ],
  [
    'q.jsonl',
    JSON.stringify({ id: 'q', stages: [STAGE] }),
    ['--gap', '2', '--load', '1'],
    'none beside --load'
  ],
  ['h.ndjson', '{"nodes":[]}', ['--nodes', '2'], '--nodes: got "2", expected none: a history'],
  ['openb_pods.csv', '', ['--nodes', '2'], '--nodes: got "2", expected none: openb']
])('%s %s with %j: what a format does not use is refused', async (name, text, argv, message) => {
  if (name !== 'synthetic') writeFileSync(join(lab.folder, name), text)
  const path = name === 'synthetic' ? name : join(lab.folder, name)
  expect(await run(['--trace', path, ...argv])).toBe(2)
  expect(errors.join('\n')).toContain(message)
})
