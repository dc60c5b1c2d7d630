/**
 * Encodings of single commands: a number that stands for the type for ever, then its fields in a fixed order. A type that a
 * reader does not know is an error: skipping it would make this node's state differ from the others'.
 */
import { fencingToken, incarnation, nodeId, peerId, taskId } from '../base/ids.ts'
import { unreachable } from '../base/invariant.ts'
import { durationMs, timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { malformed } from './bytes.ts'
import type { AskedStop, Command, CommandType, SetSettingsCommand, SubmitCommand } from './commands.ts'
import { readJudge, readPublish, writeJudge, writePublish } from './model-codec.ts'
import type { BodyReader, BodyWriter } from './spec-codec.ts'
import { assemble, readNeeds, writeNeeds } from './spec-codec.ts'
import type { PolicyMode, TaskSpec } from './types.ts'
import {
  MODEL_MODES,
  POLICY_MODES,
  readKeyOfRequest,
  readList,
  readName,
  readOffer,
  readOptional,
  readOrigin,
  readReport,
  readTexts,
  writeKey,
  writeList,
  writeName,
  writeOffer,
  writeOptional,
  writeOrigin,
  writeReport,
  writeTexts
} from './value-codec.ts'

/** Position is the number on disk: append only. */
export const COMMAND_TYPES = [
  'submit',
  'cancel',
  'place',
  'start',
  'complete',
  'stop',
  'wake',
  'expire',
  'register-node',
  'announce',
  'end-incarnation',
  'leave',
  'remove-node',
  'set-settings',
  'retire',
  'expire-keys',
  'publish-model',
  'judge-model',
  'place-copy'
] as const satisfies readonly CommandType[]

const ASKED_STOPS = ['cancel', 'timeout', 'drain', 'replace'] as const satisfies readonly AskedStop[]
const END_REASONS = ['lost', 'stopped'] as const

const NUMBERS = new Map<CommandType, number>(COMMAND_TYPES.map((type, index) => [type, index]))

export function writeCommand(out: ByteWriter, bodies: BodyWriter, command: Command): void {
  out.uint(NUMBERS.get(command.type) ?? COMMAND_TYPES.length)
  switch (command.type) {
    case 'submit':
      writeSubmit(out, bodies, command)
      return
    case 'cancel':
      writeOrigin(out, command.origin)
      out.uint(command.taskId)
      return
    case 'place':
      out.uint(command.taskId)
      out.uint(command.node)
      out.uint(command.incarnation)
      return
    case 'place-copy':
      out.uint(command.taskId)
      out.uint(command.node)
      out.uint(command.incarnation)
      out.uint(command.of)
      return
    case 'start':
      out.uint(command.taskId)
      out.uint(command.token)
      out.uint(command.startedAt)
      return
    case 'complete':
      writeReport(out, command.report)
      out.uint(command.retryDelayMs)
      return
    case 'stop':
      out.uint(command.taskId)
      out.uint(command.token)
      writeName(out, ASKED_STOPS, command.reason)
      return
    case 'wake':
    case 'expire-keys':
      return
    case 'expire':
      out.uint(command.taskId)
      return
    case 'retire':
      out.uint(command.before)
      return
    case 'publish-model':
      writePublish(out, command)
      return
    case 'judge-model':
      writeJudge(out, command)
      return
    default:
      writeMembership(out, command)
  }
}

type MembershipCommand = Extract<
  Command,
  {
    type: 'register-node' | 'announce' | 'end-incarnation' | 'leave' | 'remove-node' | 'set-settings'
  }
>

function writeMembership(out: ByteWriter, command: MembershipCommand): void {
  switch (command.type) {
    case 'register-node':
      out.text(command.peerId)
      writeTexts(out, command.addresses)
      out.text(command.zone)
      return
    case 'announce':
      out.uint(command.node)
      out.uint(command.incarnation)
      writeOffer(out, command.offer)
      writeList(out, command.outbox, writeReport)
      out.uint(command.retryDelayMs)
      return
    case 'end-incarnation':
      out.uint(command.node)
      out.uint(command.incarnation)
      writeName(out, END_REASONS, command.reason)
      out.uint(command.retryDelayMs)
      return
    case 'leave':
    case 'remove-node':
      writeOptional(out, command.origin, writeOrigin)
      out.uint(command.node)
      return
    case 'set-settings':
      writeOptional(out, command.origin, writeOrigin)
      writeSettings(out, command.settings)
      writeOptional(out, command.expectedPolicyChoice, (to, choice) => {
        to.uint(choice)
      })
      writeOptional(out, command.reason, writeText)
      out.uint(command.returns ?? 0)
      return
    default:
      unreachable(command)
  }
}

export function readCommand(from: ByteReader, bodies: BodyReader): Command {
  const type = readName(from, COMMAND_TYPES)
  switch (type) {
    case 'submit':
      return readSubmit(from, bodies)
    case 'cancel':
      return { type, origin: readOrigin(from), taskId: taskId(from.uint()) }
    case 'place':
      return {
        type,
        taskId: taskId(from.uint()),
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint())
      }
    case 'place-copy':
      return {
        type,
        taskId: taskId(from.uint()),
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint()),
        of: fencingToken(from.uint())
      }
    case 'start':
      return {
        type,
        taskId: taskId(from.uint()),
        token: fencingToken(from.uint()),
        startedAt: timestampMs(from.uint())
      }
    case 'complete':
      return { type, report: readReport(from), retryDelayMs: durationMs(from.uint()) }
    case 'stop':
      return {
        type,
        taskId: taskId(from.uint()),
        token: fencingToken(from.uint()),
        reason: readName(from, ASKED_STOPS)
      }
    case 'wake':
    case 'expire-keys':
      return { type }
    case 'expire':
      return { type, taskId: taskId(from.uint()) }
    case 'retire':
      return { type, before: timestampMs(from.uint()) }
    case 'publish-model':
      return readPublish(from)
    case 'judge-model':
      return readJudge(from)
    default:
      return readMembership(from, type)
  }
}

function readMembership(from: ByteReader, type: MembershipCommand['type']): Command {
  switch (type) {
    case 'register-node':
      return { type, peerId: peerId(from.text()), addresses: readTexts(from), zone: from.text() }
    case 'announce':
      return {
        type,
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint()),
        offer: readOffer(from),
        outbox: readList(from, readReport),
        retryDelayMs: durationMs(from.uint())
      }
    case 'end-incarnation':
      return {
        type,
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint()),
        reason: readName(from, END_REASONS),
        retryDelayMs: durationMs(from.uint())
      }
    case 'leave':
    case 'remove-node': {
      const origin = readOptional(from, readOrigin)
      const node = nodeId(from.uint())
      return origin === undefined ? { type, node } : { type, origin, node }
    }
    case 'set-settings': {
      const origin = readOptional(from, readOrigin)
      const settings = readSettings(from)
      const expectedPolicyChoice = readOptional(from, (reader) => reader.uint())
      const reason = readOptional(from, (reader) => reader.text())
      const returns = from.uint()
      return {
        type,
        ...(origin === undefined ? {} : { origin }),
        settings,
        ...(expectedPolicyChoice === undefined ? {} : { expectedPolicyChoice }),
        ...(reason === undefined ? {} : { reason }),
        ...(returns === 0 ? {} : { returns })
      }
    }
    default:
      return unreachable(type)
  }
}

function writeSubmit(out: ByteWriter, bodies: BodyWriter, command: SubmitCommand): void {
  writeOrigin(out, command.origin)
  writeOptional(out, command.idempotency, writeKey)
  out.uint(command.firstId)
  out.uint(command.tasks.length)
  let id = command.firstId
  for (const spec of command.tasks) {
    bodies.write(out, spec)
    out.bytes(spec.input)
    writeNeeds(out, id, spec.needs)
    out.uint(spec.notBefore)
    out.uint(spec.deadlineAt)
    id = taskId(id + 1)
  }
}

function readSubmit(from: ByteReader, bodies: BodyReader): SubmitCommand {
  const origin = readOrigin(from)
  const idempotency = readOptional(from, readKeyOfRequest)
  const firstId = taskId(from.uint())
  const count = from.count()
  const tasks: TaskSpec[] = []
  for (let index = 0; index < count; index++) {
    const body = bodies.read(from)
    const input = from.bytes()
    const needs = readNeeds(from, taskId(firstId + index))
    tasks.push(assemble(body, input, needs, timestampMs(from.uint()), timestampMs(from.uint())))
  }
  return idempotency === undefined
    ? { type: 'submit', origin, firstId, tasks }
    : { type: 'submit', origin, firstId, tasks, idempotency }
}

function writePolicyMode(out: ByteWriter, mode: PolicyMode): void {
  writeName(out, POLICY_MODES, mode)
}

function readPolicyMode(from: ByteReader): PolicyMode {
  return readName(from, POLICY_MODES)
}

function writeSettings(out: ByteWriter, settings: SetSettingsCommand['settings']): void {
  writeOptional(out, settings.leaseMs, writeUint)
  writeOptional(out, settings.policy, writeText)
  writeOptional(out, settings.historyTasks, writeUint)
  writeOptional(out, settings.historyMs, writeUint)
  writeOptional(out, settings.modelMode, (to, mode) => {
    writeName(to, MODEL_MODES, mode)
  })
  writeOptional(out, settings.policyMode, writePolicyMode)
}

function readSettings(from: ByteReader): SetSettingsCommand['settings'] {
  const leaseMs = readOptional(from, (reader) => durationMs(reader.uint()))
  const policy = readOptional(from, (reader) => reader.text())
  const historyTasks = readOptional(from, (reader) => reader.uint())
  const historyMs = readOptional(from, (reader) => durationMs(reader.uint()))
  const modelMode = readOptional(from, (reader) => readName(reader, MODEL_MODES))
  const policyMode = readOptional(from, readPolicyMode)
  return {
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(policy === undefined ? {} : { policy }),
    ...(historyTasks === undefined ? {} : { historyTasks }),
    ...(historyMs === undefined ? {} : { historyMs }),
    ...(modelMode === undefined ? {} : { modelMode }),
    ...(policyMode === undefined ? {} : { policyMode })
  }
}

function writeUint(out: ByteWriter, value: number): void {
  out.uint(value)
}

function writeText(out: ByteWriter, value: string): void {
  out.text(value)
}

/** The version byte that every entry and message begins with. */
export function readVersion(from: ByteReader, known: number): void {
  const version = from.uint()
  if (version !== known) throw malformed(`version: got ${version}, expected ${known}`)
}
