/**
 * Decides what a folder's files mean: the log as it was, what a crash left to tidy up, or a refusal. It reads bytes that
 * it is given and changes nothing; runtime/wal carries out what it decides.
 *
 * R1. Cut is only what `segment-scan.ts` calls torn, in the last segment that holds anything, and only when the
 *     hard-state file does not name that batch as durable.
 * R2. Everything else that does not fit (a CRC, the chain of digests, sequences, indexes, terms, a file's size or
 *     absence) is refused, with file, offset, batch, what was expected and what was got.
 * R3. Of the hard state one intact copy of the latest suffices. The newest batch holds it; so an intact log needs no
 *     hard-state file, and a missing or spoilt one is made again. A damaged log can prove its term and vote only by two
 *     intact slots: with one, the other may have been newer. The code tells: `WAL_CORRUPT` carries the proven hard
 *     state in its details, `HARD_STATE_CORRUPT` means there is none.
 *
 * Sources: crash against corruption after Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage"
 * (FAST 2018), whose separately stored identifier of the last record is the tail mark here.
 */
import { AppError } from '../../base/errors.ts'
import type { HardState } from '../types.ts'
import { readHeader } from './batch.ts'
import type { Batch } from './batch.ts'
import { BLOCK_BYTES, WAL_FORMAT_VERSION, viewOf } from './format.ts'
import { HARD_STATE_FILE, readSlots } from './hard-state-file.ts'
import type { HardStateSlot, ReadSlot } from './hard-state-file.ts'
import { LogReplay } from './log-replay.ts'
import { readSector } from './sector.ts'
import { decodeSegmentHeader, parseSegmentName } from './segment-header.ts'
import { SegmentLedger } from './segment-ledger.ts'
import { scanSegment } from './segment-scan.ts'
import type { Damage } from './segment-scan.ts'
import type { RecoveredLog, TailMark, WalIdentity } from './types.ts'

/** A segment that is there, and where its batches end. */
export interface FoundSegment {
  readonly name: string
  readonly sequence: number
  readonly sizeBytes: number
  /** Where the next batch would go. */
  readonly endOffset: number
  readonly batches: number
}

/** What to do with the folder before the log is written to again. */
export interface Recovery {
  readonly log: RecoveredLog
  /** All segments, oldest first: those in use, then those made ahead that hold no batch. */
  readonly segments: readonly FoundSegment[]
  /** Live entries of the segments in use; the last of them is the current one. */
  readonly ledger: SegmentLedger
  /** The last durable batch. */
  readonly tail: TailMark
  /** A stretch to overwrite with zeros, durably, before anything is written. */
  readonly tear: { readonly name: string; readonly from: number; readonly to: number } | undefined
  /** The newest intact slot of the hard-state file. */
  readonly slot: HardStateSlot | undefined
  readonly intactSlots: number
}

const NO_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 }

/** Takes the segments one by one, oldest first, so that only one need be in memory; then the hard-state file. */
export class LogRecovery {
  readonly #identity: WalIdentity
  readonly #segments: FoundSegment[] = []
  readonly #ledger = new SegmentLedger()
  readonly #repairs: string[] = []
  #damage: (Damage & { readonly file: string }) | undefined
  #tear: Recovery['tear']
  #replay: LogReplay | undefined
  #hardState = NO_HARD_STATE
  #incarnation = 0
  /** Digests of all batches seen; the last belongs to `#tailSequence`. */
  readonly #digests: number[] = []
  #tailSequence = 0
  #tailSegment = 0

  constructor(identity: WalIdentity) {
    this.#identity = identity
  }

  /** Takes the next segment, as its file was read. Rejects a foreign one at once; damage is told by `finish`. */
  addSegment(name: string, bytes: Uint8Array): void {
    if (this.#damage !== undefined) return
    const sequence = parseSegmentName(name) ?? 0
    const header = decodeSegmentHeader(bytes)
    if (header === undefined) {
      this.#refuse(
        name,
        0,
        'the header of a segment',
        bytes.length < BLOCK_BYTES ? `${bytes.length} bytes` : 'other bytes'
      )
      return
    }
    this.#checkOwner(name, header)
    const previous = this.#segments.at(-1)
    const expected = previous === undefined ? header.segmentSequence : previous.sequence + 1
    if (header.segmentSequence !== sequence || sequence !== expected) {
      this.#refuse(name, 0, `segment ${expected}`, `segment ${header.segmentSequence}`)
    } else if (header.segmentBytes !== bytes.length) {
      this.#refuse(name, bytes.length, `${header.segmentBytes} bytes`, `${bytes.length} bytes`)
    } else {
      this.#scan(name, sequence, bytes)
    }
  }

  /** Judges everything together. `hardStateFile` is that file's content when it exists. */
  finish(hardStateFile: Uint8Array | undefined): Recovery {
    const slots = hardStateFile === undefined ? [] : readSlots(hardStateFile)
    for (const slot of slots) this.#checkOwner(HARD_STATE_FILE, slot)
    if (this.#segments.length === 0 && this.#damage === undefined && hardStateFile !== undefined) {
      this.#refuse('segment-*.wal', 0, 'at least one segment beside the hard-state file', 'none')
    }
    if (
      this.#segments.length > 0 &&
      this.#digests.length === 0 &&
      hardStateFile !== undefined &&
      slots.length < 2
    ) {
      this.#refuse(HARD_STATE_FILE, 0, 'two intact slots beside an empty log', `${slots.length} intact`)
    }
    const replay = this.#replay ?? new LogReplay(0, 0)
    if (slots[0] !== undefined) this.#checkTail(slots[0], replay)
    const log = this.#checkLog(replay)
    if (this.#damage !== undefined || log === undefined) throw this.#refusal(slots)

    const isNew = this.#digests.length === 0
    if (!isNew && slots.length < 2) {
      const what = hardStateFile === undefined ? 'was missing' : `had ${slots.length} of 2 slots intact`
      this.#repairs.push(`${HARD_STATE_FILE} ${what}; renewed from the log`)
    }
    return {
      log: {
        ...log,
        hardState: this.#hardState,
        incarnation: this.#incarnation,
        isNew,
        repairs: this.#repairs
      },
      segments: this.#segments,
      ledger: this.#ledger,
      tail: this.#tailMark(replay),
      tear: this.#tear,
      slot: slots[0],
      intactSlots: slots.length
    }
  }

  #scan(name: string, sequence: number, bytes: Uint8Array): void {
    const view = viewOf(bytes)
    if (this.#segments.length === 0 && sequence > 1) {
      // The oldest segment of a compacted log begins with a whole batch, since compaction leaves the base in one.
      const first = bytes.length > BLOCK_BYTES ? readSector(bytes, view, BLOCK_BYTES, sequence) : 'zero'
      if (typeof first === 'string' || first.place !== 0) {
        this.#refuse(
          name,
          BLOCK_BYTES,
          'the first sector of a batch',
          typeof first === 'string' ? `a ${first} sector` : 'another'
        )
        return
      }
      this.#tailSequence = readHeader(view, BLOCK_BYTES).sequence - 1
    }
    let batches = 0
    const end = scanSegment(bytes, sequence, this.#tailSequence + 1, (batch, offset) => {
      if (batches === 0) this.#ledger.addSegment(sequence)
      batches += 1
      const fault = this.#takeBatch(batch, sequence)
      return fault && { offset, batch: batch.header.sequence, ...fault }
    })
    if (end.kind === 'damaged') {
      this.#damage = { ...end.damage, file: name }
      return
    }
    if (this.#tear !== undefined && (batches > 0 || end.kind === 'torn')) {
      this.#refuse(
        this.#tear.name,
        this.#tear.from,
        `batch ${this.#tailSequence + 1}, since ${name} goes on`,
        'a part of it'
      )
      return
    }
    if (end.kind === 'torn') {
      this.#tear = { name, from: end.offset, to: end.to }
      this.#repairs.push(`${name}: cut the incomplete batch ${this.#tailSequence + 1} at ${end.offset}`)
    }
    this.#segments.push({ name, sequence, sizeBytes: bytes.length, endOffset: end.offset, batches })
  }

  /** Appends a whole batch to what came before it. */
  #takeBatch(batch: Batch, segment: number): { readonly expected: string; readonly got: string } | undefined {
    const { header } = batch
    const first = this.#replay === undefined
    const replay = (this.#replay ??= new LogReplay(header.previousIndex, header.previousTerm))
    if (header.sequence !== this.#tailSequence + 1) {
      return { expected: `batch ${this.#tailSequence + 1}`, got: `batch ${header.sequence}` }
    }
    const digest = this.#digests.at(-1) ?? (segment === 1 ? 0 : header.previousDigest)
    if (header.previousDigest !== digest) {
      return {
        expected: `a batch that follows digest ${digest}`,
        got: `one that follows ${header.previousDigest}`
      }
    }
    const [index, term] = first && segment === 1 ? [0, 0] : [replay.lastIndex, replay.lastTerm]
    if (header.previousIndex !== index || header.previousTerm !== term) {
      return {
        expected: `a batch that follows entry ${index} of term ${term}`,
        got: `one that follows entry ${header.previousIndex} of term ${header.previousTerm}`
      }
    }
    for (const record of batch.records) {
      const fault = replay.apply(record)
      if (fault !== undefined) return { expected: 'records that continue the log', got: fault }
      if (record.kind === 'entry') this.#ledger.noteEntry(record.entry.index)
      else if (record.kind === 'reset') this.#ledger.noteReset()
    }
    const { term: newTerm, commit } = header.hardState
    if (!(newTerm >= this.#hardState.term && newTerm >= replay.lastTerm && commit <= replay.lastIndex)) {
      return { expected: 'a hard state that fits the log', got: JSON.stringify(header.hardState) }
    }
    this.#hardState = header.hardState
    this.#incarnation = header.incarnation
    this.#digests.push(batch.digest)
    this.#tailSequence = header.sequence
    this.#tailSegment = segment
    return undefined
  }

  /** Compares where the log ends with the mark that says where it ended once. */
  #checkTail(slot: ReadSlot, replay: LogReplay): void {
    if (this.#damage !== undefined) return
    const { tail, hardState } = slot
    const last = this.#segments.findLast(({ batches }) => batches > 0) ?? this.#segments[0]
    const file = last?.name ?? HARD_STATE_FILE
    const offset = last?.endOffset ?? 0
    if (tail.batchSequence > this.#tailSequence || slot.incarnation > this.#incarnation) {
      this.#refuse(
        file,
        offset,
        `batch ${tail.batchSequence} (entry ${tail.lastIndex} of term ${tail.lastTerm}), known to be durable`,
        `the end of the log after batch ${this.#tailSequence} (entry ${replay.lastIndex} of term ${replay.lastTerm})`
      )
      return
    }
    const digest = this.#digests.at(tail.batchSequence - this.#tailSequence - 1)
    const seen = tail.batchSequence > this.#tailSequence - this.#digests.length
    if (seen && digest !== tail.batchDigest) {
      this.#refuse(
        file,
        0,
        `batch ${tail.batchSequence} with digest ${tail.batchDigest}`,
        `digest ${digest ?? 'none'}`
      )
    } else if (hardState.term > this.#hardState.term) {
      this.#refuse(
        file,
        offset,
        `term ${hardState.term} or later, known to be durable`,
        `term ${this.#hardState.term}`
      )
    }
  }

  #checkLog(replay: LogReplay): Pick<RecoveredLog, 'base' | 'entries'> | undefined {
    if (this.#damage !== undefined) return undefined
    const log = replay.finish()
    if (typeof log !== 'string') return log
    this.#refuse(this.#segments[0]?.name ?? '', 0, 'all entries above the base', log)
    return undefined
  }

  #tailMark(replay: LogReplay): TailMark {
    return {
      segmentSequence: this.#tailSegment,
      batchSequence: this.#tailSequence,
      batchDigest: this.#digests.at(-1) ?? 0,
      lastIndex: replay.lastIndex,
      lastTerm: replay.lastTerm
    }
  }

  #refuse(file: string, offset: number, expected: string, got: string): void {
    this.#damage ??= { file, offset, batch: this.#tailSequence + 1, expected, got }
  }

  #checkOwner(file: string, got: { readonly version: number; readonly identity: WalIdentity }): void {
    if (got.version !== WAL_FORMAT_VERSION) {
      throw new AppError(
        'DATA_VERSION_UNSUPPORTED',
        `${file}: got format version ${got.version}, expected ${WAL_FORMAT_VERSION}`,
        { details: { file, got: got.version, expected: WAL_FORMAT_VERSION } }
      )
    }
    const { clusterId, nodeId } = this.#identity
    if (got.identity.clusterId === clusterId && got.identity.nodeId === nodeId) return
    throw new AppError(
      'DATA_FOLDER_FOREIGN',
      `${file}: belongs to node ${got.identity.nodeId} of cluster ${got.identity.clusterId}, ` +
        `expected node ${nodeId} of cluster ${clusterId}`,
      { details: { file, got: got.identity, expected: this.#identity } }
    )
  }

  #refusal(slots: readonly ReadSlot[]): AppError {
    const damage = this.#damage ?? { file: '', offset: 0, batch: 0, expected: 'a log', got: 'none' }
    const { file, offset, batch, expected, got } = damage
    const where = `${file}: damaged at offset ${offset}, batch ${batch}: expected ${expected}, got ${got}`
    const proven = slots.length === 2 ? slots[0] : undefined
    if (proven === undefined) {
      const message = `${where}; ${HARD_STATE_FILE} has ${slots.length} of 2 slots intact, so term and vote are unproven`
      return new AppError('HARD_STATE_CORRUPT', message, {
        details: { ...damage, intactSlots: slots.length }
      })
    }
    const { hardState, incarnation, tail } = proven
    return new AppError('WAL_CORRUPT', where, { details: { ...damage, hardState, incarnation, tail } })
  }
}
