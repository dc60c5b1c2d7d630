/** What the tests with real processes share: running the compiled command line, waiting for a cluster, and looking at /proc. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createClient, type Client } from '../../client/index.ts'
import { LocalCluster, type LocalClusterOptions } from '../../node/dev/local-cluster.ts'

const CLI = resolve('dist/node/cli/main.js')
const POLL_MS = 50
/** For one step of a cluster on a machine that has much else to do: several times what was seen there. Below the tests' own timeout. */
const PATIENCE_MS = 120_000
/** For tests of many such steps, which may take as long as two of vitest's usual ones. */
export const LONG_TEST_MS = 900_000

interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** What it has printed so far. */
  stdout(): string
  readonly ended: Promise<Ran>
}

/** Starts `dtss` in a process group of its own, as a shell would. */
export function dtss(...args: string[]): Running {
  const child = spawn(process.execPath, [CLI, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(([exitCode]) => ({
    exitCode: exitCode as number | null,
    stdout,
    stderr
  }))
  return { child, ended, stdout: () => stdout }
}

/** The last line of what `--json` printed. */
export function lastObject(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

/** Waits until the condition holds; the error says what was waited for. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = PATIENCE_MS
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== undefined && value !== null) return value
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`)
    await new Promise((done) => setTimeout(done, POLL_MS))
  }
}

/** Waits until nodes 1 to 3 vote and take work; `client` may make a new one for each look. */
export async function threeVotersOpen(client: () => Client): Promise<void> {
  await until('three voters are open', async () => {
    const nodes = await client().nodes()
    return nodes.filter(({ id, open, role }) => id <= 3 && open && /voter|leader/.test(role)).length === 3
  })
}

/** Starts three nodes of eight slots below `folder`, and waits until they vote and take work. What they complain of is added to `noise`. */
export async function startTrio(
  folder: string,
  noise: string[],
  options: Pick<LocalClusterOptions, 'timing' | 'args' | 'handlersFolder'>
): Promise<LocalCluster> {
  const cluster = await LocalCluster.start({
    ...options,
    nodes: 3,
    slots: 8,
    dataFolder: join(folder, 'cluster'),
    logLevel: 'error',
    onLog: (node, line) => noise.push(`node ${node}: ${line}`)
  })
  try {
    await threeVotersOpen(() => clientOf(cluster))
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

/** A client of all nodes, where they are now. */
export function clientOf(cluster: LocalCluster): Client {
  return createClient({ urls: cluster.nodes.map(({ url }) => url), retries: 20, timeoutMs: 20_000 })
}

/** Live processes whose command line or environment holds one of the texts. */
export function processesWith(...texts: readonly string[]): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return []
    const command = readText(`/proc/${name}/cmdline`).replaceAll('\0', ' ')
    const environment = readText(`/proc/${name}/environ`)
    const isZombie = / Z /.test(readText(`/proc/${name}/stat`).replace(/^.*\)/, ''))
    const named = texts.some((text) => command.includes(text) || environment.includes(text))
    return named && !isZombie ? [`${name}: ${command}`] : []
  })
}

/** What marks the processes of all nodes below `folder`: their folders, and the marks of what they spawned. */
export function marksBelow(folder: string): string[] {
  const marks = readdirSync(folder).map((node) => readText(join(folder, node, 'attempts', 'mark')).trim())
  return [folder, ...marks.filter((mark) => mark !== '').map((mark) => `DTSS_MARK=${mark}`)]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
