/** `dtss start`: one node, until it is told to stop. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { AppError } from '../../../base/errors.ts'
import { DEFAULT_PORT } from '../../../base/wire/headers.ts'
import { DEFAULT_TIMING, LAN_TIMING } from '../../../runtime/config.ts'
import type { RunningNode } from '../../wiring/start-node.ts'
import { EXIT, print, printJson, type CliContext } from '../context.ts'
import {
  checkOffered,
  defaultSlots,
  parseCount,
  parseLabels,
  parseLogLevel,
  parsePort,
  parseResources,
  parseShare,
  parseTiming
} from '../start-options.ts'
import { packageVersion } from '../version.ts'

interface Options {
  readonly data: string
  readonly join: readonly string[]
  readonly httpHost: string
  readonly httpPort: number
  readonly peerHost: string
  readonly peerPort: number
  readonly slots: number
  readonly poolProcesses?: number
  readonly shell: boolean
  readonly handlers?: string
  readonly zone: string
  readonly label: Readonly<Record<string, string>>
  readonly resource: Readonly<Record<string, number>>
  readonly timing: ReturnType<typeof parseTiming>
  readonly train: boolean
  readonly trainAfter?: number
  readonly trainCpu?: number
  readonly builtInPolicies?: boolean
  readonly allowHost: readonly string[]
  readonly logLevel: ReturnType<typeof parseLogLevel>
  readonly json?: boolean
  readonly stopOnStdinEnd?: boolean
}

const DEFAULT_PEER_PORT = 7401
const ZERO_PORT = '0 for the one used last in this folder, else any free one'

export function define(command: Command, context: CliContext): void {
  const collect = (value: string, former: readonly string[]): string[] => [...former, value]
  command
    .option('--data <folder>', 'data folder: log, state, identity', 'dtss-data')
    .option(
      '--join <multiaddr>',
      'a member to join through (repeatable); without it an empty folder founds a cluster; a folder that belongs to a node stays in its cluster',
      collect,
      []
    )
    .option('--http-host <address>', 'where the HTTP API listens', '127.0.0.1')
    .option('--http-port <port>', `port of the HTTP API; ${ZERO_PORT}`, parsePort, DEFAULT_PORT)
    .option('--peer-host <address>', 'where other nodes connect to', '127.0.0.1')
    .option('--peer-port <port>', `port for other nodes; ${ZERO_PORT}`, parsePort, DEFAULT_PEER_PORT)
    .option('--slots <n>', 'attempts that run here at once', parseCount, defaultSlots())
    .option('--pool-processes <n>', 'js processes that are kept ready', parseCount)
    .option('--no-shell', 'do not offer the shell executor')
    .option('--handlers <folder>', 'folder of js handlers')
    .option('--zone <name>', 'failure zone; voters are spread over zones', '')
    .option('--label <key=value>', 'label for node selectors (repeatable)', parseLabels, {})
    .option(
      '--resource <name=amount>',
      'limit, an integer, on what tasks here ask for together (repeatable); what is not declared is unlimited, so declare 0 of what is missing: gpu=0',
      parseResources,
      {}
    )
    .option(
      '--timing <profile>',
      'default | lan (one machine or rack: faster failover)',
      parseTiming,
      'default'
    )
    .option('--no-train', 'never train a model here, also while leading')
    .option('--train-after <n>', 'ended attempts before a leader begins to train (default: 256)', parseCount)
    .option(
      '--train-cpu <share>',
      'share of a core that training may use, replays included (default: 0.1)',
      parseShare
    )
    .option(
      '--built-in-policies',
      'place by built-in policies only while leading: the way out when one that predicts hangs'
    )
    .option('--allow-host <name>', 'further name that the HTTP API answers to (repeatable)', collect, [])
    .option('--log-level <level>', 'debug | info | warn | error | silent', parseLogLevel, 'info')
    .option('--json', 'print one JSON object when the node is up')
    .option('--stop-on-stdin-end', 'stop when standard input ends (for parents that may die)')
    .action((options: Options) => run(options, context))
}

async function run(options: Options, context: CliContext): Promise<void> {
  checkOffered({ slots: options.slots, labels: options.label, resources: options.resource })
  const { startNode } = await import('../../wiring/start-node.ts')
  const { createLogger } = await import('../../system/logger.ts')
  let fatal: AppError | undefined
  let wake: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    wake = resolve
  })
  const node = await startNode({
    dataFolder: options.data,
    join: options.join,
    httpHost: options.httpHost,
    httpPort: options.httpPort,
    peerHost: options.peerHost,
    peerPort: options.peerPort,
    slots: options.slots,
    executors: options.shell ? ['shell', 'js'] : ['js'],
    handlersFolder: options.handlers,
    zone: options.zone,
    labels: options.label,
    resources: options.resource,
    timing: options.timing === 'lan' ? LAN_TIMING : DEFAULT_TIMING,
    allowedHosts: options.allowHost,
    ...(options.poolProcesses === undefined ? {} : { pool: { warm: options.poolProcesses } }),
    learning: {
      trains: options.train,
      ...(options.trainAfter === undefined ? {} : { trainAfter: options.trainAfter }),
      ...(options.trainCpu === undefined ? {} : { cpuShare: options.trainCpu })
    },
    builtInPolicies: options.builtInPolicies === true,
    version: packageVersion(),
    logger: createLogger({ level: options.logLevel, fields: { data: options.data } }),
    onFatal: (error) => {
      fatal = error
      wake()
    }
  })
  announce(options, context, node)
  context.signal.addEventListener('abort', wake)
  if (options.stopOnStdinEnd === true) void stdinEnds(context).then(wake)
  if (!context.signal.aborted) await over
  if (fatal !== undefined) {
    // What a failed disk or a broken invariant left behind is unknown: no more writing, no orderly stop.
    context.stderr.write(`dtss: ${fatal.code}: ${fatal.message}\n`)
    process.exit(EXIT.failed)
  }
  await node.stop()
}

function announce(options: Options, context: CliContext, node: RunningNode): void {
  const { nodeId: id, url, addresses, warnings } = node
  if (options.json === true) {
    printJson(context, {
      ok: true,
      id,
      url,
      addresses,
      data: resolve(options.data),
      pid: process.pid,
      warnings
    })
    return
  }
  print(context, `node ${id} is up`)
  print(context, `  HTTP API   ${url}`)
  for (const address of addresses) print(context, `  join with  --join ${address}`)
  for (const warning of warnings) print(context, `  warning    ${warning}`)
}

async function stdinEnds(context: CliContext): Promise<void> {
  // The parent's end stays open while the parent lives: it must not hold back a node that was told to stop.
  context.stdin.unref?.()
  for await (const chunk of context.stdin) if (chunk.length < 0) return
}
