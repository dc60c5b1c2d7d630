/**
 * State for a node whose log cannot be caught up: all rows of the state store, streamed from one image of it.
 *
 * Raft's own message carries metadata only. The sender replaces it by the position of the image that it really sends,
 * which is at or above the one that Raft asked for. The receiver writes the rows into a store beside the live one;
 * swapping them is the raft turn's business (`installSnapshot`), once Raft has accepted the message.
 *
 * S1. A stream counts its rows and chains their CRC; one that ends early or differs is refused as a whole.
 * S2. One snapshot is received at a time, and one is sent to a peer at a time.
 */
import { Packr } from 'msgpackr'
import { AppError } from '../../base/errors.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { NodeId } from '../../base/ids.ts'
import { KiB } from '../../base/units.ts'
import { decodeMessage, encodeMessage, NO_BYTES, type Message } from '../../consensus/index.ts'
import type { Logger } from '../ports/log.ts'
import type { Store, StoreOperation, StoreProvider } from '../ports/store.ts'
import type { Transport } from '../ports/transport.ts'
import type { Materializer } from './materializer.ts'
import { keyBytes, META_KEY } from './meta.ts'
import { readMeta } from './open-state.ts'

/** Name of the store that a snapshot is received into. */
export const INCOMING_STORE = 'incoming'

const CHUNK_BYTES = 64 * KiB
const packr = new Packr({ useRecords: false })

/** A chunk: rows as [key, value, key, value, …]; the last one is [count, crc] instead. */
type Chunk = readonly Uint8Array[] | readonly [number, number]

export interface SnapshotSenderInput {
  readonly transport: Transport
  readonly logger: Logger
  readonly state: Pick<Materializer, 'store' | 'flush'>
  readonly report: (to: NodeId, status: 'finished' | 'failed') => void
}

export class SnapshotSender {
  readonly #input: SnapshotSenderInput
  readonly #sending = new Set<NodeId>()

  constructor(input: SnapshotSenderInput) {
    this.#input = input
  }

  /** Sends what Raft's message asks for, unless one is already on its way there. */
  send(to: NodeId, message: Message): void {
    if (this.#sending.has(to)) return
    this.#sending.add(to)
    this.#stream(to, message)
      .then(
        (index) => {
          this.#input.logger.info({ to, index }, 'snapshot delivered')
          this.#input.report(to, 'finished')
        },
        (error: unknown) => {
          this.#input.logger.warn({ to, error: String(error) }, 'snapshot not delivered')
          this.#input.report(to, 'failed')
        }
      )
      .finally(() => this.#sending.delete(to))
  }

  async #stream(to: NodeId, message: Message): Promise<number> {
    const { state, transport } = this.#input
    // An older image may not know its receiver as a member yet, who would refuse it.
    await state.flush()
    const image = state.store.snapshot()
    try {
      const meta = await readMeta(image)
      if (meta === undefined) throw new AppError('INTERNAL', 'the state store has no meta row')
      const { index, term, confState } = meta
      const header = encodeMessage({ ...message, snapshot: { index, term, confState, data: NO_BYTES } })
      await transport.sendSnapshot(to, header, chunksOf(image.iterate({})))
      return index
    } finally {
      await image.close()
    }
  }
}

async function* chunksOf(
  rows: AsyncIterable<readonly [Uint8Array, Uint8Array]>
): AsyncGenerator<Uint8Array, void, undefined> {
  let chunk: Uint8Array[] = []
  let bytes = 0
  let count = 0
  let crc = 0
  for await (const [key, value] of rows) {
    chunk.push(key, value)
    crc = crc32c(value, crc32c(key, crc))
    count += 1
    bytes += key.length + value.length
    if (bytes < CHUNK_BYTES) continue
    yield packr.pack(chunk)
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) yield packr.pack(chunk)
  yield packr.pack([count, crc])
}

export interface SnapshotReceiverInput {
  readonly stores: StoreProvider
  readonly logger: Logger
  /** Hands Raft the message whose rows now lie in the incoming store; resolves when that store is no longer needed. */
  readonly accept: (message: Message) => Promise<void>
}

export class SnapshotReceiver {
  readonly #input: SnapshotReceiverInput
  #busy = false

  constructor(input: SnapshotReceiverInput) {
    this.#input = input
  }

  /** Takes a stream from a member. Rejects when it is no snapshot, is damaged, or another one is under way. */
  async receive(from: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const message = decodeMessage(header)
    if (message.type !== 'MsgSnap' || message.from !== from || message.snapshot === undefined) {
      throw new AppError('INVALID_REQUEST', 'the stream does not begin with a snapshot message')
    }
    if (this.#busy) throw new AppError('OVERLOADED', 'another snapshot is being received')
    this.#busy = true
    try {
      await this.#input.stores.destroy(INCOMING_STORE)
      const store = await this.#input.stores.open(INCOMING_STORE)
      try {
        await writeRows(store, chunks)
        const meta = await readMeta(store)
        if (meta?.index !== message.snapshot.index) {
          throw new AppError('STATE_CORRUPT', 'the snapshot holds another position than it announced')
        }
      } finally {
        await store.close()
      }
      this.#input.logger.info({ from, index: message.snapshot.index }, 'snapshot received')
      await this.#input.accept(message)
    } finally {
      this.#busy = false
    }
  }
}

async function writeRows(store: Store, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let count = 0
  let crc = 0
  for await (const bytes of chunks) {
    const chunk = decodeChunk(bytes)
    if (isEndMark(chunk)) {
      if (chunk[0] !== count || chunk[1] !== crc)
        throw corrupt(`got ${count} rows, CRC ${crc}, expected ${chunk[0]} rows, CRC ${chunk[1]}`)
      await makeDurable(store)
      return
    }
    const operations: StoreOperation[] = []
    for (let i = 0; i < chunk.length; i += 2) {
      const [key, value] = [chunk[i], chunk[i + 1]]
      if (key === undefined || value === undefined) throw corrupt('a row without its value')
      operations.push({ type: 'put', key, value })
      crc = crc32c(value, crc32c(key, crc))
      count += 1
    }
    await store.batch(operations, { sync: false })
  }
  throw corrupt(`ended after ${count} rows without its end mark`)
}

function decodeChunk(bytes: Uint8Array): Chunk {
  let chunk: unknown
  try {
    chunk = packr.unpack(bytes)
  } catch (error) {
    throw corrupt('a chunk does not decode', error)
  }
  if (!Array.isArray(chunk)) throw corrupt('a chunk is no array')
  const items = chunk as unknown[]
  const isRows = items.every((item) => item instanceof Uint8Array)
  const isEnd = items.length === 2 && items.every((item) => typeof item === 'number')
  if (!isRows && !isEnd) throw corrupt('a chunk of unknown form')
  return items as unknown as Chunk
}

function isEndMark(chunk: Chunk): chunk is readonly [number, number] {
  return typeof chunk[0] === 'number'
}

function corrupt(what: string, cause?: unknown): AppError {
  return new AppError('STATE_CORRUPT', `snapshot stream: ${what}`, { cause })
}

/** A synced batch makes everything before it durable; the row that gives the others their position is written again. */
async function makeDurable(store: Store): Promise<void> {
  const key = keyBytes(META_KEY)
  const value = await store.get(key)
  if (value === undefined) throw corrupt('its meta row is missing')
  await store.batch([{ type: 'put', key, value }], { sync: true })
}
