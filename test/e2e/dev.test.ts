import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

test('a signal while dev starts is obeyed before the next node is started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-e2e-'))
  try {
    const dev = dtss('dev', '--data', folder, '--nodes', '8')
    await until('the first node has a folder', () => existsSync(join(folder, 'node-1')))
    const marks = marksBelow(folder)
    dev.child.kill('SIGTERM')
    const { exitCode } = await dev.ended
    expect(exitCode).toBe(130)
    expect(existsSync(join(folder, 'node-8'))).toBe(false)
    expect(processesWith(...marks)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('more nodes than last time join the cluster that there is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-e2e-'))
  const clusterOf = (node: number): unknown =>
    (
      JSON.parse(readFileSync(join(folder, `node-${node}`, 'identity.json'), 'utf8')) as {
        clusterId: unknown
      }
    ).clusterId
  try {
    for (const nodes of [1, 3]) {
      const dev = dtss('dev', '--data', folder, '--nodes', String(nodes))
      await until('dev is up', () => dev.stdout().includes('The cluster is up'))
      process.kill(-dev.child.pid!, 'SIGINT')
      expect((await dev.ended).exitCode).toBe(0)
    }
    expect(clusterOf(1)).toEqual(expect.any(String))
    expect([clusterOf(2), clusterOf(3)]).toEqual([clusterOf(1), clusterOf(1)])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a handler that cannot be loaded is named where it says that the cluster is up, with the reason', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-e2e-'))
  try {
    const handlers = join(folder, 'handlers')
    mkdirSync(handlers)
    writeFileSync(join(handlers, 'broken.js'), "import 'no-such-package'\nexport default () => 1\n")
    const dev = dtss('dev', '--nodes', '1', '--data', join(folder, 'data'), '--handlers', handlers)
    await until('dev is up', () => dev.stdout().includes('The cluster is up'))
    process.kill(-dev.child.pid!, 'SIGINT')
    const { stdout } = await dev.ended
    expect(stdout).toMatch(/^ {2}warning: handlers of broken\.js are missing: .*no-such-package/m)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
