import { Packr } from 'msgpackr'
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { confStateOf, makeMessage } from '../../../../consensus/types.ts'
import { decodeMessage, encodeMessage, type Message } from '../../../../consensus/index.ts'
import type { Store } from '../../../../runtime/ports/store.ts'
import type { Transport } from '../../../../runtime/ports/transport.ts'
import { encodeMeta, keyBytes, META_KEY } from '../../../../runtime/storage/meta.ts'
import { INCOMING_STORE, SnapshotReceiver, SnapshotSender } from '../../../../runtime/storage/snapshots.ts'
import { createSimStores } from '../../../../sim/store.ts'
import type { SimStores } from '../../../../sim/store-types.ts'
import { codeOf, settled, SILENT } from '../stub-ports.ts'

const CONF_STATE = confStateOf([1, 2])
const ROWS = 5_000
const packr = new Packr({ useRecords: false })

/** What node 1 sends for its state at index 40, though Raft asked for one at 30. */
async function sent(): Promise<{ header: Uint8Array; chunks: Uint8Array[]; reports: string[] }> {
  const stores = createSimStores({ rng: createRng(1) })
  const store = await stores.open('state')
  const meta = { index: 40, term: 3, confState: CONF_STATE, recordVersion: 1, checksum: 'c' }
  await store.batch([{ type: 'put', key: keyBytes(META_KEY), value: encodeMeta(meta) }], { sync: true })
  for (let row = 0; row < ROWS; row++) {
    const operation = { type: 'put', key: keyBytes(`t${row}`), value: new Uint8Array(40).fill(row) } as const
    await store.batch([operation], { sync: false })
  }
  const chunks: Uint8Array[] = []
  const reports: string[] = []
  let header = new Uint8Array(0)
  const transport = {
    sendSnapshot: async (_to: number, first: Uint8Array<ArrayBuffer>, rest: AsyncIterable<Uint8Array>) => {
      header = first
      for await (const chunk of rest) chunks.push(chunk)
    }
  } as unknown as Transport
  const sender = new SnapshotSender({
    transport,
    logger: SILENT,
    state: { store, flush: () => Promise.resolve() },
    report: (_to, status) => {
      reports.push(status)
    }
  })
  const snapshot = { index: 30, term: 2, confState: CONF_STATE, data: new Uint8Array(0) }
  const message = makeMessage({ type: 'MsgSnap', to: 2, from: 1, term: 3, snapshot })
  sender.send(nodeId(2), message)
  sender.send(nodeId(2), message)
  while (reports.length === 0) await settled()
  return { header, chunks, reports }
}

interface Received {
  readonly code: string
  readonly accepted: Message[]
  readonly rows: number
}

async function receive(header: Uint8Array, chunks: readonly Uint8Array[], from = 1): Promise<Received> {
  const stores = createSimStores({ rng: createRng(2) })
  const accepted: Message[] = []
  const accept = (message: Message): Promise<void> => {
    accepted.push(message)
    return Promise.resolve()
  }
  const receiver = new SnapshotReceiver({ stores, logger: SILENT, accept })
  const code = await codeOf(receiver.receive(nodeId(from), header, stream(chunks)))
  return { code, accepted, rows: await countRows(stores) }
}

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk)
}

async function countRows(stores: SimStores): Promise<number> {
  const store: Store = await stores.open(INCOMING_STORE)
  let rows = 0
  for await (const [key] of store.iterate({})) rows += key.length > 0 ? 1 : 0
  return rows
}

test('a snapshot arrives with all rows, under the position of the image that was sent', async () => {
  const { header, chunks, reports } = await sent()
  expect(chunks.length).toBeGreaterThan(3)
  const { code, accepted, rows } = await receive(header, chunks)
  expect([code, rows, reports]).toEqual(['resolved', ROWS + 1, ['finished']])
  expect(accepted[0]?.snapshot).toMatchObject({ index: 40, term: 3, confState: CONF_STATE })
})

test('a stream that ends early, or lost or repeats a chunk, is refused', async () => {
  const { header, chunks } = await sent()
  const broken = [[], chunks.slice(0, -1), chunks.slice(1), [...chunks.slice(0, 2), ...chunks.slice(1)]]
  for (const [which, stream] of broken.entries()) {
    const { code, accepted } = await receive(header, stream)
    expect(code, `stream ${which}`).toBe('STATE_CORRUPT')
    expect(accepted).toEqual([])
  }
})

test('a stream with a flipped bit is refused, wherever it is', async () => {
  const { header, chunks } = await sent()
  for (const [which, chunk] of chunks.entries()) {
    for (const at of [0, chunk.length >> 1, chunk.length - 1]) {
      const damaged = chunk.slice()
      damaged[at] = (damaged[at] ?? 0) ^ 1
      const stream = chunks.map((whole, i) => (i === which ? damaged : whole))
      const { code, accepted } = await receive(header, stream)
      expect(code, `chunk ${which} at ${at}`).toBe('STATE_CORRUPT')
      expect(accepted).toEqual([])
    }
  }
})

test('a header that is no snapshot of its sender, or announces another position, is refused', async () => {
  const { header, chunks } = await sent()
  const message = decodeMessage(header)
  expect((await receive(header, chunks, 2)).code).toBe('INVALID_REQUEST')
  expect((await receive(encodeMessage({ ...message, type: 'MsgApp' }), chunks)).code).toBe('INVALID_REQUEST')
  const { snapshot } = message
  if (snapshot === undefined) throw new Error('the header carries a snapshot')
  const moved = encodeMessage({ ...message, snapshot: { ...snapshot, index: 41 } })
  expect((await receive(moved, chunks)).code).toBe('STATE_CORRUPT')
})

test('chunks that are no rows are refused', async () => {
  const { header, chunks } = await sent()
  for (const chunk of [packr.pack('text'), packr.pack([new Uint8Array(1)]), packr.pack(['a', 'b'])]) {
    const { code, accepted } = await receive(header, [chunk, ...chunks])
    expect([code, accepted]).toEqual(['STATE_CORRUPT', []])
  }
})

test('one snapshot is received at a time', async () => {
  const { header, chunks } = await sent()
  const stores = createSimStores({ rng: createRng(2) })
  const releases: (() => void)[] = []
  const accept = (): Promise<void> => new Promise((resolve) => releases.push(resolve))
  const receiver = new SnapshotReceiver({ stores, logger: SILENT, accept })
  const first = receiver.receive(nodeId(1), header, stream(chunks))
  expect(await codeOf(receiver.receive(nodeId(1), header, stream(chunks)))).toBe('OVERLOADED')
  while (releases.length === 0) await settled()
  expect(await codeOf(receiver.receive(nodeId(1), header, stream(chunks)))).toBe('OVERLOADED')
  releases[0]?.()
  await first
  const next = receiver.receive(nodeId(1), header, stream(chunks))
  while (releases.length === 1) await settled()
  releases[1]?.()
  expect(await codeOf(next)).toBe('resolved')
})
