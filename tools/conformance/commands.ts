/** Every command of the interaction language, by name. */
import type { ConfChange, MessageType, Snapshot } from '../../consensus/types.ts'
import { MESSAGE_TYPES, NO_BYTES, confStateOf, makeMessage } from '../../consensus/types.ts'
import { describeMessage } from '../../consensus/describe.ts'
import { parseChanges } from './conf-change-text.ts'
import type { Argument, Directive } from './datadriven.ts'
import { ScriptError } from './datadriven.ts'
import type { InteractionEnv, Recipient } from './interaction.ts'
import type { NodeOptions } from './interaction-node.ts'
import { InteractionNode } from './interaction-node.ts'
import { CommandError } from './output.ts'
import { bareIds, firstNumber, namedValue, scanBoolean, scanNumber } from './scan.ts'

type Command = (env: InteractionEnv, args: readonly Argument[], input: string) => void

const COMMANDS: Readonly<Record<string, Command>> = {
  // Does nothing; a place to stop at in a debugger.
  _breakpoint: () => undefined,
  'add-nodes': addNodes,
  campaign,
  compact,
  'deliver-msgs': deliverMessages,
  'process-ready': (env, args) => {
    env.forEachId(args, 'handling Ready', (id) => {
      env.processReady(id)
    })
  },
  'process-append-thread': (env, args) => {
    env.forEachId(args, 'processing append thread', (id) => {
      env.processAppendThread(id)
    })
  },
  'process-apply-thread': (env, args) => {
    env.forEachId(args, 'processing apply thread', (id) => {
      env.processApplyThread(id)
    })
  },
  'log-level': (env, args) => {
    env.output.setLevel(args[0]?.key ?? '')
  },
  'raft-log': (env, args) => {
    env.printLog(firstNumber(args))
  },
  'raft-state': (env) => {
    env.printRoles()
  },
  'set-randomized-election-timeout': (env, args) => {
    const ticks = scanNumber(namedValue(args, 'timeout'))
    if (ticks === 0) throw new ScriptError('timeout must not be zero')
    env.node(firstNumber(args)).raw.setRandomizedElectionTicks(ticks)
  },
  stabilize,
  status: (env, args) => {
    env.printStatus(firstNumber(args))
  },
  'tick-election': (env, args) => {
    const { raw, electionTicks } = env.node(firstNumber(args))
    for (let i = 0; i < electionTicks; i++) raw.tick()
  },
  'tick-heartbeat': (env, args) => {
    const { raw, heartbeatTicks } = env.node(firstNumber(args))
    for (let i = 0; i < heartbeatTicks; i++) raw.tick()
  },
  'transfer-leadership': (env, args) => {
    const from = env.node(scanNumber(namedValue(args, 'from')))
    const to = env.node(scanNumber(namedValue(args, 'to')))
    from.raw.transferLeader(to.id)
  },
  'forget-leader': (env, args) => {
    env.node(firstNumber(args)).raw.forgetLeader()
  },
  'send-snapshot': sendSnapshot,
  propose,
  'propose-conf-change': proposeConfChange,
  'report-unreachable': (env, args) => {
    const [at, about, ...others] = bareIds(args)
    if (at === undefined || about === undefined || others.length > 0) {
      throw new CommandError(
        'must specify exactly two node indexes: node on which to report, and reported node'
      )
    }
    env.node(at).raw.reportUnreachable(env.node(about).id)
  }
}

/** Runs the command of a directive. */
export function runCommand(env: InteractionEnv, directive: Directive): void {
  const command = COMMANDS[directive.command]
  if (command === undefined) throw new CommandError('unknown command')
  command(env, directive.args, directive.input)
}

function addNodes(env: InteractionEnv, args: readonly Argument[]): void {
  const count = firstNumber(args)
  const options: Mutable<NodeOptions> = {}
  const initial = { voters: new Array<number>(), learners: new Array<number>(), index: 0, data: NO_BYTES }
  for (const { key, values } of args.slice(1)) {
    for (const value of values) {
      if (key === 'voters') initial.voters.push(scanNumber(value))
      else if (key === 'learners') initial.learners.push(scanNumber(value))
      else if (key === 'content') initial.data = textBytes(value)
      else if (key === 'index') {
        initial.index = scanNumber(value)
        options.applied = initial.index
      } else setOption(options, key, value)
    }
  }
  const bootstrap = initial.voters.length > 0 || initial.learners.length > 0 || initial.data.length > 0
  if ((bootstrap || initial.index > 0) && initial.index <= 1) {
    throw new CommandError('index must be specified as > 1 due to bootstrap')
  }
  const confState = confStateOf(initial.voters, initial.learners)
  const term = initial.index > 0 ? 1 : 0
  const snapshot: Snapshot = { index: initial.index, term, confState, data: initial.data }
  for (let i = 0; i < count; i++) {
    env.nodes.push(new InteractionNode(env.nodes.length + 1, options, snapshot, env.output))
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Unknown keys are passed over, as scripts of later versions may have them. */
function setOption(options: Mutable<NodeOptions>, key: string, value: string): void {
  switch (key) {
    case 'inflight':
      options.maxInflightMessages = scanNumber(value)
      return
    case 'async-storage-writes':
      options.asyncStorageWrites = scanBoolean(value)
      return
    case 'prevote':
      options.preVote = scanBoolean(value)
      return
    case 'checkquorum':
      options.checkQuorum = scanBoolean(value)
      return
    case 'max-committed-size-per-ready':
      options.maxApplyingBytes = scanNumber(value)
      return
    case 'disable-conf-change-validation':
      options.disableConfChangeValidation = scanBoolean(value)
      return
    case 'step-down-on-removal':
      options.stepDownOnRemoval = scanBoolean(value)
      return
    case 'read-only':
      if (value !== 'safe' && value !== 'lease-based') {
        throw new CommandError(`invalid read-only option "${value}"`)
      }
      options.readOnly = value
      return
    default:
      return
  }
}

function campaign(env: InteractionEnv, args: readonly Argument[]): void {
  const id = firstNumber(args)
  if (id < 1 || id > env.nodes.length) {
    throw new CommandError(`node index ${id - 1} out of range [0, ${env.nodes.length})`)
  }
  env.check(env.node(id).raw.campaign())
}

function compact(env: InteractionEnv, args: readonly Argument[]): void {
  const id = firstNumber(args)
  const index = scanNumber(args[1]?.key ?? '')
  if (env.node(id).storage.compact(index) !== 'ok') {
    throw new CommandError('requested index is unavailable due to compaction')
  }
  env.printLog(id)
}

function deliverMessages(env: InteractionEnv, args: readonly Argument[]): void {
  let type: MessageType | undefined
  const recipients: Recipient[] = []
  for (const { key, values } of args) {
    if (values.length === 0) recipients.push({ id: scanNumber(key), drop: false })
    for (const value of values) {
      if (key === 'type') type = scanMessageType(value)
      if (key !== 'drop') continue
      const id = scanNumber(value)
      if (recipients.some((recipient) => recipient.id === id)) {
        throw new ScriptError(`can't both deliver and drop msgs to ${id}`)
      }
      recipients.push({ id, drop: true })
    }
  }
  if (env.deliver(type, recipients) === 0) env.output.write('no messages\n')
}

function scanMessageType(name: string): MessageType {
  const type = MESSAGE_TYPES.find((known) => known === name)
  if (type === undefined) throw new ScriptError(`unknown message type ${name}`)
  return type
}

function stabilize(env: InteractionEnv, args: readonly Argument[]): void {
  const level = args.find(({ key, values }) => key === 'log-level' && values.length > 0)?.values[0]
  const restore = level === undefined ? undefined : env.output.setLevel(level)
  try {
    env.stabilize(bareIds(args))
  } finally {
    restore?.()
  }
}

function sendSnapshot(env: InteractionEnv, args: readonly Argument[]): void {
  const [from, to, ...others] = bareIds(args)
  if (from === undefined || to === undefined || others.length > 0) {
    throw new ScriptError('send-snapshot takes two nodes')
  }
  const node = env.node(from)
  const message = makeMessage({
    type: 'MsgSnap',
    to,
    from,
    term: node.raw.term,
    snapshot: node.latestSnapshot
  })
  env.messages.push(message)
  env.output.write(describeMessage(message))
}

function propose(env: InteractionEnv, args: readonly Argument[]): void {
  const id = firstNumber(args)
  const data = args[1]
  if (data === undefined || data.values.length > 0 || args.length !== 2) {
    throw new ScriptError('propose takes a node and a word')
  }
  env.check(env.node(id).raw.propose(textBytes(data.key)))
}

function proposeConfChange(env: InteractionEnv, args: readonly Argument[], input: string): void {
  const id = firstNumber(args)
  let v1 = false
  let transition: 'auto' | 'joint-implicit' | 'joint-explicit' = 'auto'
  for (const { key, values } of args.slice(1)) {
    for (const value of values) {
      if (key === 'v1') v1 = scanBoolean(value)
      else if (key !== 'transition') throw new CommandError(`unknown command ${key}`)
      else if (value === 'auto') transition = 'auto'
      else if (value === 'implicit') transition = 'joint-implicit'
      else if (value === 'explicit') transition = 'joint-explicit'
      else throw new CommandError(`unknown transition ${value}`)
    }
  }
  const changes = parseChanges(input)
  if (typeof changes === 'string') throw new CommandError(changes)
  const first = changes[0]
  let change: ConfChange = { version: 2, transition, changes, context: NO_BYTES }
  if (v1) {
    if (first === undefined || changes.length > 1 || transition !== 'auto') {
      throw new CommandError('v1 conf change can only have one operation and no transition')
    }
    change = { version: 1, type: first.type, nodeId: first.nodeId, context: NO_BYTES }
  }
  env.check(env.node(id).raw.proposeConfChange(change))
}

function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
