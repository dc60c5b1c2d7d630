/**
 * `npm run demo:bad-input`: what the system refuses, with which code, and that nothing which it had acknowledged is lost
 * by it. Three processes with tasks of which some have ended; one of them is killed and gives the folders that are
 * damaged; in the end it comes back and the cluster still works.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { createClient, type Client } from '../client/index.ts'
import { LocalCluster } from '../node/dev/local-cluster.ts'
import type { Case } from './bad-input/cases.ts'
import { requestCases } from './bad-input/requests.ts'
import { startCases } from './bad-input/starts.ts'
import { clusterReady } from './bench-tools.ts'

interface Options {
  readonly json?: boolean
}

interface Outcome {
  readonly name: string
  /** The code it was refused with. */
  readonly code: string
  /** Tasks that had been acknowledged and are no more. */
  readonly lost: number
}

/** Tasks that end at once, and tasks that have not ended when the cases begin. */
const ENDED = 40
const WAITING = 10
const WAIT_MS = 60_000

export async function run(argv: string[]): Promise<number> {
  const { json } = new Command('bad-input')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const say = (line: string): void => {
    if (json === true) console.error(line)
    else console.log(line)
  }
  const folder = await mkdtemp(join(tmpdir(), 'dtss-bad-input-'))
  try {
    const cluster = await LocalCluster.start({
      nodes: 3,
      timing: 'lan',
      dataFolder: join(folder, 'cluster'),
      logLevel: 'silent'
    })
    try {
      const result = await demonstrate(cluster, join(folder, 'scratch'), say)
      if (json === true) console.log(JSON.stringify(result))
      else say(result.ok ? 'all refused as they should be, nothing lost' : 'not all is as it should be')
      return result.ok ? 0 : 1
    } finally {
      await cluster.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function demonstrate(
  cluster: LocalCluster,
  scratch: string,
  say: (line: string) => void
): Promise<{ ok: boolean; cases: Outcome[] }> {
  await mkdir(scratch)
  await clusterReady(cluster.nodes.map(({ url }) => url))
  const [first, second, third] = cluster.nodes
  if (first === undefined || second === undefined || third === undefined) throw new Error('no three nodes')
  const client = createClient({ urls: [first.url, second.url], retries: 20 })
  const acknowledged = await prepare(client)
  const cases: Outcome[] = []
  const unfit: string[] = []
  const tryOut = async (all: readonly Case[]): Promise<void> => {
    for (const one of all) {
      const { code, message } = await one.provoke()
      const lost = await countLost(client, acknowledged)
      const fits = code === one.expected && one.names.test(message) && lost === 0
      say(`${fits ? 'ok ' : 'BAD'} ${one.name}: ${code}: ${message.slice(0, 300)}`)
      if (!fits)
        say(`    expected ${one.expected} and a message like ${String(one.names)}, 0 lost; got ${lost} lost`)
      if (!fits) unfit.push(one.name)
      cases.push({ name: one.name, code, lost })
    }
  }
  await tryOut(requestCases(first.url))
  await cluster.signal(2, 'SIGKILL')
  const running = { folder: first.data, url: first.url, address: first.addresses[0] ?? '' }
  await tryOut(startCases({ scratch, running, dead: third.data, other: second.data }))
  const back = await cluster.restart(2)
  const works = await stillWorks(createClient({ url: back.url, retries: 20 }), acknowledged)
  if (!works) say('the cluster does not work any more, or the restarted node misses tasks')
  return { ok: works && unfit.length === 0, cases }
}

/** Tasks that have ended and tasks that wait, all acknowledged. */
async function prepare(client: Client): Promise<string[]> {
  const ended = await client.submitMany(
    Array.from({ length: ENDED }, (_, index) => ({ name: `ended-${index}`, command: `echo ${index}` }))
  )
  for (const id of ended.ids) await client.wait(id, { timeoutMs: WAIT_MS })
  const waiting = await client.submitMany(
    Array.from({ length: WAITING }, (_, index) => ({
      name: `waiting-${index}`,
      command: 'true',
      delayMs: '1h'
    }))
  )
  return [...ended.ids, ...waiting.ids]
}

/** Of the acknowledged tasks, those that are unknown, or of whose result nothing is known. */
async function countLost(client: Client, acknowledged: readonly string[]): Promise<number> {
  let lost = 0
  for (const [index, id] of acknowledged.entries()) {
    const task = await client.get(id).catch(() => undefined)
    const status = index < ENDED ? 'succeeded' : 'pending'
    if (task?.status !== status || (index < ENDED && task.result !== index)) lost += 1
  }
  return lost
}

/** The node that was killed has all tasks itself, and new ones run. */
async function stillWorks(client: Client, acknowledged: readonly string[]): Promise<boolean> {
  await client.cluster()
  const { id } = await client.submit({ command: 'true' })
  const { status } = await client.wait(id, { timeoutMs: WAIT_MS })
  return status === 'succeeded' && (await countLost(client, acknowledged)) === 0
}
