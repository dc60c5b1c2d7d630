/** One process of the raft benchmark: a real node that proposes from within when it is told to. */
import { taskId } from '../../base/ids.ts'
import { LAN_TIMING } from '../../runtime/config.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import { createLogger } from '../../node/system/logger.ts'
import { startNode } from '../../node/wiring/start-node.ts'
import { quantile, round } from '../bench-tools.ts'

export interface MemberOptions {
  readonly dataFolder: string
  readonly join: readonly string[]
}

export interface DriveReport {
  readonly commandsPerSecond: number
  readonly entriesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export type MemberMessage =
  | { readonly type: 'up'; readonly url: string; readonly addresses: readonly string[] }
  | { readonly type: 'driven'; readonly report: DriveReport }

const options = JSON.parse(process.argv[2] ?? '{}') as MemberOptions
const node = await startNode({
  dataFolder: options.dataFolder,
  join: options.join,
  httpHost: '127.0.0.1',
  httpPort: 0,
  peerHost: '127.0.0.1',
  peerPort: 0,
  slots: 0,
  executors: [],
  zone: '',
  labels: {},
  resources: {},
  timing: LAN_TIMING,
  version: 'bench',
  logger: createLogger({ level: 'error' }),
  onFatal: (error) => {
    console.error(error)
    process.exit(1)
  }
})
process.on('message', ({ inFlight, seconds }: { inFlight: number; seconds: number }) => {
  void drive(node.runtime, inFlight, seconds).then((report) => {
    say({ type: 'driven', report })
  })
})
process.on('disconnect', () => {
  void node.stop(2_000)
})
say({ type: 'up', url: node.url, addresses: node.addresses })

function say(message: MemberMessage): void {
  process.send?.(message)
}

/** The cancel of a task that was never submitted: goes all the way through the log and changes nothing. */
const NOBODY = taskId(Number.MAX_SAFE_INTEGER)

async function drive(runtime: NodeRuntime, inFlight: number, seconds: number): Promise<DriveReport> {
  const latencies: number[] = []
  const firstIndex = runtime.appliedIndex
  const startedAt = performance.now()
  const endAt = startedAt + seconds * 1000
  const proposers = Array.from({ length: inFlight }, async () => {
    while (performance.now() < endAt) {
      const at = performance.now()
      // Refused by the task machine, as it should be, once it is committed and applied here.
      await runtime.propose({ type: 'cancel', taskId: NOBODY }, 30_000).catch(() => undefined)
      latencies.push(performance.now() - at)
    }
  })
  await Promise.all(proposers)
  const tookSeconds = (performance.now() - startedAt) / 1000
  return {
    commandsPerSecond: Math.round(latencies.length / tookSeconds),
    entriesPerSecond: Math.round((runtime.appliedIndex - firstIndex) / tookSeconds),
    p50Ms: round(quantile(latencies, 0.5)),
    p99Ms: round(quantile(latencies, 0.99))
  }
}
