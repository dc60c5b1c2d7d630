/**
 * A cluster of real processes on this machine, for trying out, demonstrations, benchmarks and tests: each node is
 * `dtss start` with its own folder and free ports, and dies with this process.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { AppError } from '../../base/errors.ts'

export interface LocalClusterOptions {
  readonly nodes: number
  /** Folder for the nodes' data; absent: a temporary one that goes with the cluster. */
  readonly dataFolder?: string
  readonly handlersFolder?: string
  readonly slots?: number
  readonly poolProcesses?: number
  readonly timing: 'default' | 'lan'
  readonly logLevel?: string
  /** Arguments for Node itself, for example to profile. */
  readonly execArgs?: readonly string[]
  /** Further arguments of `dtss start`. */
  readonly args?: readonly string[]
  /** Each line that a node logs. */
  readonly onLog?: (node: number, line: string) => void
  /** Once aborted no further node is started: a start that is under way stops what it began, and fails. */
  readonly signal?: AbortSignal
}

/** What `dtss start --json` says when it is up. */
export interface NodeAddress {
  readonly id: number
  readonly url: string
  readonly addresses: readonly string[]
  readonly data: string
  readonly pid: number
  /** What is not as it was asked for, though the node is up. */
  readonly warnings: readonly string[]
}

interface Member {
  readonly index: number
  readonly folder: string
  process: ChildProcess | undefined
  address: NodeAddress | undefined
}

/** The compiled command line, also when this file is read as source (by tests). */
const CLI = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/node/cli/main.js' : '../cli/main.js', import.meta.url)
)
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 20_000

export class LocalCluster {
  readonly #options: LocalClusterOptions
  readonly #folder: string
  readonly #temporary: boolean
  readonly #members: Member[]

  private constructor(options: LocalClusterOptions, folder: string, temporary: boolean) {
    this.#options = options
    this.#folder = folder
    this.#temporary = temporary
    this.#members = Array.from({ length: options.nodes }, (_, index) => ({
      index,
      folder: join(folder, `node-${index + 1}`),
      process: undefined,
      address: undefined
    }))
  }

  /** Starts all nodes: the first founds the cluster (or goes on with its folder), the others join it. */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const temporary = options.dataFolder === undefined
    const folder = options.dataFolder ?? (await mkdtemp(join(tmpdir(), 'dtss-')))
    const cluster = new LocalCluster(options, folder, temporary)
    try {
      await cluster.#startAll()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get nodes(): readonly NodeAddress[] {
    return this.#members.flatMap(({ address }) => (address === undefined ? [] : [address]))
  }

  get folder(): string {
    return this.#folder
  }

  /** Starts a node that was killed or stopped; it goes on with its folder. `index` counts from 0. */
  async restart(index: number): Promise<NodeAddress> {
    const member = this.#member(index)
    const contact = this.#members.find((other) => other !== member && other.process !== undefined)?.address
    return await this.#start(member, contact?.addresses ?? [])
  }

  /** Sends a signal to a node's process; with SIGKILL, resolves when it is gone. */
  async signal(index: number, signal: NodeJS.Signals): Promise<void> {
    const { process: child } = this.#member(index)
    if (child === undefined) return
    const gone = signal === 'SIGKILL' ? once(child, 'exit') : undefined
    child.kill(signal)
    await gone
  }

  /** Stops all nodes cleanly, the hard way if they do not, and removes a temporary folder. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#stop(member)))
    if (this.#temporary) await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async #startAll(): Promise<void> {
    const used = await Promise.all(this.#members.map(({ folder }) => isUsed(folder)))
    const old = this.#members.filter((_, index) => used[index])
    const others = this.#members.filter((_, index) => used[index] !== true)
    // Members of an old cluster need each other to elect a leader: all at once.
    const [member] = await Promise.all(old.map((one) => this.#start(one, [])))
    const [first, ...rest] = others
    if (first === undefined) return
    const contact = await this.#start(first, member?.addresses ?? [])
    // A start that was interrupted, or more nodes than last time: what has no cluster yet joins the one that there is.
    for (const one of rest) await this.#start(one, (member ?? contact).addresses)
  }

  async #start(member: Member, contacts: readonly string[]): Promise<NodeAddress> {
    const { signal } = this.#options
    signal?.throwIfAborted()
    const child = spawn(
      process.execPath,
      [...(this.#options.execArgs ?? []), CLI, 'start', ...this.#args(member, contacts)],
      {
        stdio: ['pipe', 'pipe', 'pipe']
      }
    )
    member.process = child
    const complaints: string[] = []
    createInterface({ input: child.stderr }).on('line', (line) => {
      complaints.push(line)
      if (complaints.length > 20) complaints.shift()
      this.#options.onLog?.(member.index + 1, line)
    })
    child.once('exit', () => {
      if (member.process === child) member.process = undefined
    })
    const lines = createInterface({ input: child.stdout })
    const tooLate = AbortSignal.timeout(START_TIMEOUT_MS)
    const giveUp = signal === undefined ? tooLate : AbortSignal.any([tooLate, signal])
    const up = once(lines, 'line', { signal: giveUp }) as Promise<[string]>
    const died = once(child, 'exit').then(() => undefined)
    const line = await Promise.race([up, died])
    if (line === undefined) {
      up.catch(() => undefined)
      throw new AppError('INTERNAL', `node ${member.index + 1} did not start: ${complaints.join('\n')}`)
    }
    member.address = JSON.parse(line[0]) as NodeAddress
    return member.address
  }

  #args(member: Member, contacts: readonly string[]): string[] {
    const { handlersFolder, slots, poolProcesses, timing, logLevel, args } = this.#options
    return [
      ...['--data', member.folder, '--http-port', '0', '--peer-port', '0', '--json', '--stop-on-stdin-end'],
      ...['--timing', timing, '--log-level', logLevel ?? 'warn', '--zone', `zone-${member.index + 1}`],
      ...contacts.flatMap((address) => ['--join', address]),
      ...(handlersFolder === undefined ? [] : ['--handlers', handlersFolder]),
      ...(slots === undefined ? [] : ['--slots', String(slots)]),
      ...(poolProcesses === undefined ? [] : ['--pool-processes', String(poolProcesses)]),
      ...(args ?? [])
    ]
  }

  async #stop(member: Member): Promise<void> {
    const { process: child } = member
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await gone
    clearTimeout(timer)
  }

  #member(index: number): Member {
    const member = this.#members[index]
    if (member === undefined)
      throw new RangeError(`node index: got ${index}, expected below ${this.#members.length}`)
    return member
  }
}

async function isUsed(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).includes('identity.json')
  } catch {
    return false
  }
}
