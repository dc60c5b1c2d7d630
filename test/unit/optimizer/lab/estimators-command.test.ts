import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../../../bench/estimators.ts'
import { labOutput } from '../../../helpers/lab-output.ts'

const lab = labOutput()
const { out, errors } = lab

function log(): string {
  const path = join(lab.folder, 'log.swf')
  const lines = Array.from(
    { length: 40 },
    (_, i) => `${i + 1} ${i * 10} -1 ${i === 30 ? 0 : 30 + i} 1 -1 -1 1 60 -1 1 ${1 + (i % 3)} 1 1 1 1 -1 -1`
  )
  writeFileSync(path, `; MaxNodes: 4\n${lines.join('\n')}\n`)
  return path
}

test('--json prints one object last, from which the run can be made again', async () => {
  const trace = log()
  expect(await run(['--trace', trace, '--from', '10', '--seed', '2', '--json'])).toBe(0)
  const report = JSON.parse(out.at(-1) ?? '') as {
    estimators: { estimator: string; predictions: number }[]
  }
  expect(report).toMatchObject({
    trace: 'log',
    tasks: 29,
    options: { trace, from: 10, limit: null, load: null, seed: 2 },
    leftOut: { tasks: 1, of: 30 },
    notes: ['the header has no MaxProcs: MaxNodes, 4, is taken for processors']
  })
  for (const field of ['commit', 'dirty', 'machine', 'traceSha256']) expect(report).toHaveProperty(field)
  expect(report.estimators.map(({ predictions }) => predictions)).toEqual([29, 29, 29, 29, 29, 29])
})

test('misuse is told with the option, and as one object', async () => {
  expect(await run(['--trace', log(), '--sed', '1', '--json'])).toBe(2)
  expect(errors.join('\n')).toContain("Unknown option '--sed'; did you mean --seed?")
  expect(out.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { ok: false, error: { code: 'INVALID_REQUEST', option: 'sed', nearest: '--seed' } }
  ])
})
