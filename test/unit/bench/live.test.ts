import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { run } from '../../../bench/live.ts'
import { sliceOf } from '../../../bench/live/slice.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../optimizer/lab/synthetic.ts'

test('a slice from anywhere in a trace with needs is of jobs that wait for nobody, as they are submitted', () => {
  const trace = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 3000 })
  const { workload } = sliceOf(trace, {
    ...{ from: 2000, seconds: 5, speedup: 100, nodes: 3, load: 0.9, longestMs: 40_000, widest: 8 }
  })
  expect(workload.tasks.length).toBeGreaterThan(20)
  expect(workload.barriers).toEqual([])
})

test('a trace of DAGs is refused before any of it is made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-live-'))
  const errors: string[] = []
  const error = vi.spyOn(console, 'error').mockImplementation((text: unknown) => errors.push(String(text)))
  try {
    const path = join(folder, 'q.jsonl')
    const stage = { id: 0, tasks: 2, parents: [], first: { 5: [40] }, rest: { 5: [20] }, fresh: { 5: [40] } }
    writeFileSync(path, JSON.stringify({ id: 'q', stages: [stage] }))
    expect(await run(['--trace', path, '--seconds', '5'])).toBe(2)
    expect(errors.join('\n')).toContain('expected a trace of independent jobs: an SWF log, or "synthetic"')
  } finally {
    error.mockRestore()
    rmSync(folder, { recursive: true })
  }
})
