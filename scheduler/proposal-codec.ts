/**
 * Encodings of proposals. A proposal that already is a command is written as one; the others get numbers of their own.
 */
import { incarnation, nodeId, taskId } from '../base/ids.ts'
import { timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { malformed } from './bytes.ts'
import { readCommand, writeCommand } from './command-codec.ts'
import type { Proposal, SubmitProposal } from './proposals.ts'
import type { BodyReader, BodyWriter } from './spec-codec.ts'
import { assemble } from './spec-codec.ts'
import type { SubmissionNeed, SubmissionTask } from './submission.ts'
import {
  readKeyOfRequest,
  readList,
  readName,
  readOffer,
  readOptional,
  readOrigin,
  readReport,
  writeKey,
  writeList,
  writeName,
  writeOffer,
  writeOptional,
  writeOrigin,
  writeReport
} from './value-codec.ts'

/** Position is the number on the wire: append only. */
const FORMS = ['command', 'submit', 'report', 'announce', 'end-incarnation'] as const
const END_REASONS = ['lost', 'stopped'] as const

export function writeProposal(out: ByteWriter, bodies: BodyWriter, proposal: Proposal): void {
  switch (proposal.type) {
    case 'submit':
      writeName(out, FORMS, 'submit')
      writeSubmission(out, bodies, proposal)
      return
    case 'report':
      writeName(out, FORMS, 'report')
      writeReport(out, proposal.report)
      return
    case 'announce':
      writeName(out, FORMS, 'announce')
      out.uint(proposal.node)
      out.uint(proposal.incarnation)
      writeOffer(out, proposal.offer)
      writeList(out, proposal.outbox, writeReport)
      return
    case 'end-incarnation':
      writeName(out, FORMS, 'end-incarnation')
      out.uint(proposal.node)
      out.uint(proposal.incarnation)
      writeName(out, END_REASONS, proposal.reason)
      return
    default:
      writeName(out, FORMS, 'command')
      writeCommand(out, bodies, proposal)
  }
}

export function readProposal(from: ByteReader, bodies: BodyReader): Proposal {
  const form = readName(from, FORMS)
  switch (form) {
    case 'submit':
      return readSubmission(from, bodies)
    case 'report':
      return { type: 'report', report: readReport(from) }
    case 'announce':
      return {
        type: 'announce',
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint()),
        offer: readOffer(from),
        outbox: readList(from, readReport)
      }
    case 'end-incarnation':
      return {
        type: 'end-incarnation',
        node: nodeId(from.uint()),
        incarnation: incarnation(from.uint()),
        reason: readName(from, END_REASONS)
      }
    case 'command':
      return readForwarded(from, bodies)
  }
}

/** A member may forward only what is its to ask for; the rest is the leader's own. */
function readForwarded(from: ByteReader, bodies: BodyReader): Proposal {
  const command = readCommand(from, bodies)
  switch (command.type) {
    case 'cancel':
    case 'start':
    case 'stop':
    case 'register-node':
    case 'leave':
    case 'remove-node':
    case 'set-settings':
    case 'publish-model':
    case 'judge-model':
      return command
    case 'submit':
    case 'place':
    case 'place-copy':
    case 'complete':
    case 'wake':
    case 'expire':
    case 'announce':
    case 'end-incarnation':
    case 'retire':
    case 'expire-keys':
      throw malformed(`proposal: got a ${command.type} command, which only a leader makes`)
  }
}

function writeSubmission(out: ByteWriter, bodies: BodyWriter, proposal: SubmitProposal): void {
  const { tasks, idempotency } = proposal.submission
  writeOrigin(out, proposal.origin)
  writeOptional(out, idempotency, writeKey)
  out.uint(tasks.length)
  for (const task of tasks) {
    bodies.write(out, task)
    out.bytes(task.input)
    writeList(out, task.needs, writeNeed)
    out.uint(task.notBefore)
    out.uint(task.deadlineAt)
  }
}

function readSubmission(from: ByteReader, bodies: BodyReader): SubmitProposal {
  const origin = readOrigin(from)
  const idempotency = readOptional(from, readKeyOfRequest)
  const count = from.count()
  const tasks: SubmissionTask[] = []
  for (let index = 0; index < count; index++) {
    const body = bodies.read(from)
    const input = from.bytes()
    const needs = readList(from, readNeed)
    tasks.push(assemble(body, input, needs, timestampMs(from.uint()), timestampMs(from.uint())))
  }
  const submission = idempotency === undefined ? { tasks } : { tasks, idempotency }
  return { type: 'submit', origin, submission }
}

function writeNeed(out: ByteWriter, need: SubmissionNeed): void {
  const isPosition = 'position' in need
  out.bool(isPosition)
  out.uint(isPosition ? need.position : need.id)
  out.text(need.as)
}

function readNeed(from: ByteReader): SubmissionNeed {
  const isPosition = from.bool()
  const value = from.uint()
  const as = from.text()
  return isPosition ? { position: value, as } : { id: taskId(value), as }
}
