/**
 * The replicated log by itself: three processes with real transport and a synced log, one of them proposing commands that
 * change nothing else (the cancel of a task that does not exist), until each is applied where it was proposed. No tasks,
 * no HTTP. Two loads: few commands in flight, where latency counts, and many, where turns batch them into entries.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { clusterReady, machine } from './bench-tools.ts'
import type { DriveReport, MemberMessage, MemberOptions } from './raft/member.ts'

interface Options {
  readonly nodes: string
  readonly seconds: string
  readonly inFlight: string
  readonly few: string
  readonly json?: boolean
}

const MEMBER = fileURLToPath(new URL('./raft/member.js', import.meta.url))

export async function run(argv: string[]): Promise<number> {
  const options = new Command('raft')
    .option('--nodes <n>', 'processes', '3')
    .option('--seconds <n>', 'length of each load', '8')
    .option('--in-flight <n>', 'commands in flight of the heavy load', '2048')
    .option('--few <n>', 'commands in flight of the light load', '64')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const nodes = Number(options.nodes)
  const folder = await mkdtemp(join(tmpdir(), 'dtss-raft-'))
  const members: Member[] = []
  try {
    for (let index = 0; index < nodes; index++) {
      members.push(await Member.start(folder, index, members[0]?.addresses ?? []))
    }
    const urls = members.map(({ url }) => url)
    const leaderUrl = await clusterReady(urls)
    const leader = members.find(({ url }) => url === leaderUrl)
    if (leader === undefined) throw new Error('the leader is none of the members')
    const seconds = Number(options.seconds)
    await leader.drive(Number(options.inFlight), 2) // warms up every process
    const heavy = await leader.drive(Number(options.inFlight), seconds)
    const light = await leader.drive(Number(options.few), seconds)
    const result = {
      name: 'raft',
      nodes,
      entriesPerSecond: heavy.entriesPerSecond,
      commandsPerSecond: heavy.commandsPerSecond,
      p50Ms: light.p50Ms,
      p99Ms: light.p99Ms,
      light: { inFlight: Number(options.few), commandsPerSecond: light.commandsPerSecond },
      machine: machine()
    }
    if (options.json === true) console.log(JSON.stringify(result))
    else console.log(result)
    return 0
  } finally {
    await Promise.all(members.map((member) => member.stop()))
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

class Member {
  readonly url: string
  readonly addresses: readonly string[]
  readonly #process: ChildProcess

  private constructor(child: ChildProcess, up: Extract<MemberMessage, { type: 'up' }>) {
    this.#process = child
    this.url = up.url
    this.addresses = up.addresses
  }

  static async start(folder: string, index: number, join: readonly string[]): Promise<Member> {
    const options: MemberOptions = { dataFolder: `${folder}/node-${index + 1}`, join }
    const child = fork(MEMBER, [JSON.stringify(options)])
    const [up] = (await once(child, 'message')) as [Extract<MemberMessage, { type: 'up' }>]
    return new Member(child, up)
  }

  async drive(inFlight: number, seconds: number): Promise<DriveReport> {
    this.#process.send({ inFlight, seconds })
    const [{ report }] = (await once(this.#process, 'message')) as [
      Extract<MemberMessage, { type: 'driven' }>
    ]
    return report
  }

  async stop(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.disconnect()
    await gone
  }
}
