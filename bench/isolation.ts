/**
 * What user code can do to the log: sync times and lost leases of a three-node cluster while 8 tasks saturate dns, crypto
 * and zlib, beside the same cluster idle. And, in one process, why writes have a thread of their own: the same writes
 * through libuv's pool and through the thread while 8 `pbkdf2` keep that pool busy.
 */
import { pbkdf2 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { createClient } from '../client/index.ts'
import { LocalCluster } from '../node/dev/local-cluster.ts'
import { createDisk } from '../node/disk/disk.ts'
import { BENCH_HANDLERS, clusterReady, delay, figures, machine, quantile, round } from './bench-tools.ts'

interface Options {
  readonly seconds: string
  readonly json?: boolean
}

const KINDS = ['crypto', 'zlib', 'dns', 'crypto', 'zlib', 'dns', 'crypto', 'zlib'] as const

export async function run(argv: string[]): Promise<number> {
  const options = new Command('isolation')
    .option('--seconds <n>', 'length of each load', '10')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const seconds = Number(options.seconds)
  const pool = await writesBesidePbkdf2('pool', Math.min(seconds, 5))
  const thread = await writesBesidePbkdf2('thread', Math.min(seconds, 5))
  const cluster = await LocalCluster.start({
    nodes: 3,
    timing: 'default',
    handlersFolder: BENCH_HANDLERS,
    slots: 4,
    logLevel: 'error'
  })
  try {
    const urls = cluster.nodes.map(({ url }) => url)
    await clusterReady(urls)
    const client = createClient({ urls })
    const before = await incarnations(urls)
    const idle = await syncTimes(urls, client, seconds)
    const { ids } = await client.submitMany(
      KINDS.map((kind) => ({ executor: 'js', handler: 'saturate', input: { kind, seconds } }))
    )
    const saturated = await syncTimes(urls, client, seconds)
    const ends = await Promise.all(ids.map((id) => client.wait(id)))
    const after = await incarnations(urls)
    const result = {
      name: 'isolation',
      nodes: 3,
      idle,
      saturated,
      lostLeases: after - before,
      completed: ends.filter(({ status }) => status === 'succeeded').length,
      besidePbkdf2: { pool, thread },
      machine: machine()
    }
    if (options.json === true) console.log(JSON.stringify(result))
    else console.log(result)
    return result.lostLeases === 0 && result.completed === KINDS.length ? 0 : 1
  } finally {
    await cluster.stop()
  }
}

interface SyncFigures {
  readonly syncP50Ms: number
  readonly syncP99Ms: number
}

/** Keeps the log busy with small commits for a while; answers with the worst node's sync times. */
async function syncTimes(
  urls: readonly string[],
  client: ReturnType<typeof createClient>,
  seconds: number
): Promise<{ syncP99Ms: number; commitP50Ms: number; commitP99Ms: number }> {
  const endAt = performance.now() + seconds * 1000
  const commits: number[] = []
  while (performance.now() < endAt) {
    const at = performance.now()
    // Not before a month from now: it enters the log and occupies nobody.
    await client.submit(
      { executor: 'js', handler: 'noop', delayMs: 2_000_000_000 },
      { idempotencyKey: false }
    )
    commits.push(performance.now() - at)
    await delay(5)
  }
  const p99s = await Promise.all(
    urls.map(async (url) => (await figures(url))['dtss_wal_sync_p99_seconds'] ?? 0)
  )
  return {
    syncP99Ms: round(Math.max(...p99s) * 1000),
    commitP50Ms: round(quantile(commits, 0.5)),
    commitP99Ms: round(quantile(commits, 0.99))
  }
}

async function incarnations(urls: readonly string[]): Promise<number> {
  const nodes = await createClient({ urls }).nodes()
  return nodes.reduce((sum, node) => sum + node.incarnation, 0)
}

async function writesBesidePbkdf2(writes: 'pool' | 'thread', seconds: number): Promise<SyncFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'dtss-isolation-'))
  const disk = createDisk({ writes })
  let over = false
  const burn = async (): Promise<void> => {
    while (!over) await promisify(pbkdf2)('secret', 'salt', 20_000, 64, 'sha512')
  }
  const burners = Array.from({ length: 8 }, burn)
  try {
    const file = await disk.create(`${folder}/segment`, 4 * 1024 * 1024)
    const bytes = disk.allocateBuffer(4096).fill(7)
    const times: number[] = []
    const endAt = performance.now() + seconds * 1000
    for (let offset = 0; performance.now() < endAt; offset = (offset + 4096) % (4 * 1024 * 1024)) {
      const at = performance.now()
      await file.write(offset, bytes)
      times.push(performance.now() - at)
    }
    await file.close()
    return { syncP50Ms: round(quantile(times, 0.5)), syncP99Ms: round(quantile(times, 0.99)) }
  } finally {
    over = true
    await Promise.all(burners)
    await disk.close()
    await rm(folder, { recursive: true, force: true })
  }
}
