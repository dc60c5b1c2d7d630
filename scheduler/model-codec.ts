/**
 * Encodings of models: the row of one, and the commands that publish and judge it. Weights and evaluation are opaque bytes.
 */
import { timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import type { JudgeModelCommand, ModelVerdict, PublishModelCommand } from './commands.ts'
import type { ModelRecord, ModelState } from './types.ts'
import { readName, readOptional, readOrigin, writeName, writeOptional, writeOrigin } from './value-codec.ts'

/** Position is the number on disk: append only. */
const MODEL_STATES = [
  'shadow',
  'serving',
  'retired',
  'rejected',
  'rolled-back'
] as const satisfies readonly ModelState[]
const VERDICTS = ['promote', 'reject', 'roll-back'] as const satisfies readonly ModelVerdict[]

export function writeModel(out: ByteWriter, model: ModelRecord): void {
  out.uint(model.version)
  writeName(out, MODEL_STATES, model.state)
  out.uint(model.trainedOn)
  out.uint(model.publishedAt)
  out.uint(model.servedAt)
  out.uint(model.changedAt)
  out.text(model.reason)
  out.bytes(model.evaluation)
  out.bytes(model.weights)
}

export function readModel(from: ByteReader): ModelRecord {
  return {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    version: from.uint(),
    state: readName(from, MODEL_STATES),
    trainedOn: from.uint(),
    publishedAt: timestampMs(from.uint()),
    servedAt: timestampMs(from.uint()),
    changedAt: timestampMs(from.uint()),
    reason: from.text(),
    evaluation: from.bytes(),
    weights: from.bytes()
  }
}

export function writePublish(out: ByteWriter, command: PublishModelCommand): void {
  writeOptional(out, command.origin, writeOrigin)
  out.bytes(command.weights)
  out.uint(command.trainedOn)
  out.bytes(command.evaluation)
}

export function readPublish(from: ByteReader): PublishModelCommand {
  const origin = readOptional(from, readOrigin)
  const command = {
    type: 'publish-model',
    weights: from.bytes(),
    trainedOn: from.uint(),
    evaluation: from.bytes()
  } as const
  return origin === undefined ? command : { ...command, origin }
}

export function writeJudge(out: ByteWriter, command: JudgeModelCommand): void {
  writeOptional(out, command.origin, writeOrigin)
  out.uint(command.version)
  writeName(out, VERDICTS, command.verdict)
  writeOptional(out, command.expected, (to, state) => {
    writeName(to, MODEL_STATES, state)
  })
  out.bool(command.toPrevious)
  out.text(command.reason)
  writeOptional(out, command.evaluation, (to, bytes) => {
    to.bytes(bytes)
  })
}

export function readJudge(from: ByteReader): JudgeModelCommand {
  const origin = readOptional(from, readOrigin)
  const version = from.uint()
  const verdict = readName(from, VERDICTS)
  const expected = readOptional(from, (reader) => readName(reader, MODEL_STATES))
  const toPrevious = from.bool()
  const reason = from.text()
  const evaluation = readOptional(from, (reader) => reader.bytes())
  return {
    type: 'judge-model',
    version,
    verdict,
    toPrevious,
    reason,
    ...(origin === undefined ? {} : { origin }),
    ...(expected === undefined ? {} : { expected }),
    ...(evaluation === undefined ? {} : { evaluation })
  }
}
