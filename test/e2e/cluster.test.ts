import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient, type Client, type TaskView } from '../../client/index.ts'
import { LocalCluster } from '../../node/dev/local-cluster.ts'
import { dtss, lastObject, processesWith, threeVotersOpen, until } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-e2e-'))
const noise: string[] = []
let cluster: LocalCluster

const start = (): Promise<LocalCluster> =>
  LocalCluster.start({
    nodes: 3,
    timing: 'lan',
    slots: 4,
    dataFolder: join(folder, 'cluster'),
    logLevel: 'error',
    onLog: (node, line) => noise.push(`node ${node}: ${line}`)
  })

const urls = (): string[] => cluster.nodes.map(({ url }) => url)
const clientOf = (index: number): Client => createClient({ url: urls()[index]!, retries: 20 })
const anyClient = (): Client => createClient({ urls: urls(), retries: 20, timeoutMs: 5_000 })

/** Position in the cluster of the node that leads, or of one that follows it. */
async function indexOf(role: 'leader' | 'follower'): Promise<number> {
  const leader = await until('there is a leader', async () => (await anyClient().cluster()).leader?.id)
  return cluster.nodes.findIndex(({ id }) => (id === leader) === (role === 'leader'))
}

beforeAll(async () => {
  cluster = await start()
})
beforeEach(async () => {
  await threeVotersOpen(anyClient)
})
afterAll(async () => {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
  expect(noise).toEqual([])
})

test('a task submitted through any node is seen at once through every other, and runs', async () => {
  for (const [index] of urls().entries()) {
    const { id } = await clientOf(index).submit({ command: `echo ${index}` })
    const seen = await Promise.all(urls().map((_, other) => clientOf(other).get(id)))
    expect(seen.map((task) => task.id)).toEqual([id, id, id])
    expect(await clientOf(index).wait(id)).toMatchObject({ status: 'succeeded', result: index, attempts: 1 })
  }
})

test('output is followed through a node that does not run the task', async () => {
  const { id } = await anyClient().submit({ command: 'for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done' })
  // On a busy machine it may have ended by the first look.
  const where = await until('the task is placed', async () => {
    const { placement, node } = await anyClient().get(id)
    return placement?.node ?? node
  })
  const other = cluster.nodes.find((node) => node.id !== where)!
  const { exitCode, stdout } = await dtss('logs', id, '--follow', '--url', other.url).ended
  expect(stdout).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n')
  expect(exitCode).toBe(0)
})

test('a cancelled task leaves no process behind', async () => {
  const mark = `E2E_MARK=${process.pid}`
  const client = anyClient()
  const { id } = await client.submit({
    command: 'sleep 1001 & (setsid sleep 1002 &) ; wait',
    env: { E2E_MARK: `${process.pid}` }
  })
  await until(
    'the tree has grown',
    () => processesWith(mark).filter((line) => /: sleep/.test(line)).length === 2
  )
  await client.cancel(id)
  expect((await client.wait(id)).status).toBe('cancelled')
  expect(processesWith(mark)).toEqual([])
})

test('a data folder has one node at a time', async () => {
  const { data } = cluster.nodes[0]!
  const ports = ['--http-port', '0', '--peer-port', '0']
  const { exitCode, stdout } = await dtss('start', '--data', data, ...ports, '--json').ended
  expect(exitCode).toBe(1)
  expect(lastObject(stdout)).toMatchObject({ ok: false, error: { code: 'DATA_FOLDER_LOCKED' } })
})

test('a fourth node joins as a learner, runs tasks, and stops when it is told to', async () => {
  const contact = cluster.nodes[1]!.addresses[0]!
  const fourth = dtss(
    ...['start', '--data', join(folder, 'fourth'), '--http-port', '0', '--peer-port', '0', '--json'],
    ...['--join', contact, '--timing', 'lan', '--label', 'place=fourth', '--log-level', 'error']
  )
  try {
    await until('it is up', () => fourth.stdout().includes('\n'))
    const { id, url } = lastObject(fourth.stdout()) as { id: number; url: string }
    const node = await until('it is open', async () =>
      (await anyClient().nodes()).find((known) => known.id === id && known.open)
    )
    expect(node.role).toBe('learner')
    const client = createClient({ url, retries: 20 })
    const task = await client.submit({ command: 'true', nodeSelector: { place: 'fourth' } })
    expect(await client.wait(task.id)).toMatchObject({ status: 'succeeded', node: id })
    fourth.child.kill('SIGTERM')
    const { exitCode, stderr } = await fourth.ended
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    const after = await anyClient().nodes()
    expect(after.find((known) => known.id === id)).toMatchObject({ open: false })
  } finally {
    fourth.child.kill('SIGKILL')
  }
})

test('what was acknowledged before the leader is killed survives it and finishes', async () => {
  const commands = Array.from({ length: 30 }, (_, index) => ({ command: `sleep 0.3; echo ${index}` }))
  const { ids } = await clientOf(await indexOf('follower')).submitMany(commands)
  const leader = await indexOf('leader')
  await cluster.signal(leader, 'SIGKILL')
  const ends = await Promise.all(ids.map((id) => anyClient().wait(id)))
  expect(ends.map(({ status, result }) => [status, result])).toEqual(
    ids.map((_, index) => ['succeeded', index])
  )
  await cluster.restart(leader)
})

test('a cluster that is stopped and started whole has all that it had', async () => {
  const client = anyClient()
  const { ids } = await client.submitMany([
    { command: 'echo said; echo "{\\"n\\":1}"' },
    { command: 'exit 3', retry: { maxAttempts: 1 } },
    { command: 'true', delayMs: '1h' }
  ])
  const [said = '', failed = '', waiting = ''] = ids
  const settled = async (of: Client): Promise<Partial<TaskView>[]> => {
    await Promise.all([of.wait(said), of.wait(failed)])
    const found = await Promise.all(ids.map((id) => of.get(id)))
    // What a node expects is its own, and learned anew from history.
    return found.map((task) => {
      const known: Partial<TaskView> = { ...task }
      delete known.eta
      delete known.predicted
      return known
    })
  }
  const before = await settled(client)
  expect(before.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'pending'])
  const { clusterId } = await client.cluster()

  await cluster.stop()
  cluster = await start()

  const again = anyClient()
  expect(await settled(again)).toEqual(before)
  expect((await again.cluster()).clusterId).toBe(clusterId)
  const output: string[] = []
  for await (const { bytes } of again.logs(said)) output.push(new TextDecoder().decode(bytes))
  expect(output.join('')).toBe('said\n{"n":1}\n')
  await again.cancel(waiting)
  const { id } = await again.submit({ command: 'true' })
  expect((await again.wait(id)).status).toBe('succeeded')
})
