/**
 * Log entries and forwarded proposals as bytes. Each decodes alone: a version, then values in a fixed order (`bytes.ts`
 * says why the encoding is ours). Decoding is strict; it yields all or an `ENCODING_INVALID` error.
 *
 * Apply what was decoded, on the leader too: texts that are not well-formed Unicode are mended by the encoding.
 */
import { timestampMs } from '../base/units.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readCommand, readVersion, writeCommand } from './command-codec.ts'
import type { Command, CommandBatch } from './commands.ts'
import { readProposal, writeProposal } from './proposal-codec.ts'
import type { Proposal } from './proposals.ts'
import { BodyReader, BodyWriter } from './spec-codec.ts'

/** Version of log entries and proposals; only ever rises, and nodes of different ones do not greet (`node/transport/hello.ts`). */
export const CODEC_VERSION = 4

const writer = new ByteWriter()

export function encodeBatch(batch: CommandBatch): Uint8Array {
  writer.begin()
  writer.uint(CODEC_VERSION)
  writer.uint(batch.stampedAt)
  writer.uint(batch.commands.length)
  const bodies = new BodyWriter()
  for (const command of batch.commands) writeCommand(writer, bodies, command)
  return writer.take()
}

/** Throws AppError ENCODING_INVALID; never yields a partial batch. */
export function decodeBatch(bytes: Uint8Array): CommandBatch {
  const from = new ByteReader(bytes)
  readVersion(from, CODEC_VERSION)
  const stampedAt = timestampMs(from.uint())
  const count = from.count()
  const bodies = new BodyReader()
  const commands: Command[] = []
  for (let index = 0; index < count; index++) commands.push(readCommand(from, bodies))
  from.end()
  return { stampedAt, commands }
}

/** What a node forwards to the leader, several in one message. */
export function encodeProposals(proposals: readonly Proposal[]): Uint8Array {
  writer.begin()
  writer.uint(CODEC_VERSION)
  writer.uint(proposals.length)
  const bodies = new BodyWriter()
  for (const proposal of proposals) writeProposal(writer, bodies, proposal)
  return writer.take()
}

/** Throws AppError ENCODING_INVALID; never yields a part of them. */
export function decodeProposals(bytes: Uint8Array): Proposal[] {
  const from = new ByteReader(bytes)
  readVersion(from, CODEC_VERSION)
  const count = from.count()
  const bodies = new BodyReader()
  const proposals: Proposal[] = []
  for (let index = 0; index < count; index++) proposals.push(readProposal(from, bodies))
  from.end()
  return proposals
}
