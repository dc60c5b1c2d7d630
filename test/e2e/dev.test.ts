import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dtss, lastObject, marksBelow, processesWith, until } from './support.ts'

test('dev runs an example on three nodes and prints its documented result, and nothing else', async () => {
  const { exitCode, stdout, stderr } = await dtss('dev', '--example', 'licence-audit', '--once', '--json')
    .ended
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  const result = lastObject(stdout) as { nodes: { role: string }[]; report: unknown }
  expect(result).toEqual({
    ok: true,
    durationMs: expect.any(Number) as unknown,
    tasks: expect.any(Number) as unknown,
    nodes: [1, 2, 3].map((id) => ({
      id,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as unknown,
      role: expect.stringMatching(/^(leader|follower)$/) as unknown
    })),
    report: expect.objectContaining({ packages: expect.any(Number) as unknown }) as unknown
  })
  expect(result.nodes.filter(({ role }) => role === 'leader')).toHaveLength(1)
})

test('Ctrl-C ends dev and everything that it started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-e2e-'))
  try {
    const dev = dtss('dev', '--data', folder)
    await until('dev is up', () => dev.stdout().includes('The cluster is up'))
    const marks = marksBelow(folder)
    expect(processesWith(...marks).length).toBeGreaterThanOrEqual(6)
    // A terminal sends it to the whole group, the nodes included.
    process.kill(-dev.child.pid!, 'SIGINT')
    const { exitCode, stderr } = await dev.ended
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    expect(processesWith(...marks)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
