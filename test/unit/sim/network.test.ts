import { expect, test } from 'vitest'
import { nodeId } from '../../../base/ids.ts'
import type { PeerId } from '../../../base/ids.ts'
import { createRng } from '../../../base/prng.ts'
import type { Transport, TransportHandlers } from '../../../runtime/ports/transport.ts'
import type { SimNetworkOptions } from '../../../sim/network-types.ts'
import { createSimNetwork } from '../../../sim/network.ts'
import { createVirtualTime } from '../../helpers/virtual-time.ts'

const A = 'a' as PeerId
const B = 'b' as PeerId
const peers = [A, B]

interface Seen {
  readonly at: number
  readonly value: number
}

async function pair(options: Partial<SimNetworkOptions> = {}, seed = 1) {
  const time = createVirtualTime()
  const network = createSimNetwork({ rng: createRng(seed), schedule: time.schedule, ...options })
  const seen = new Map<PeerId, Seen[]>(peers.map((peer) => [peer, []]))
  const connected = new Map<PeerId, boolean>()
  const start = async (peer: PeerId): Promise<Transport> => {
    const transport = network.transport(peer)
    const handlers: TransportHandlers = {
      onFrame: (_from, _channel, frame) => seen.get(peer)!.push({ at: time.now(), value: frame[0]! }),
      onConnection: (_of, up) => connected.set(peer, up),
      onRequest: (_from, _member, request) => Promise.resolve(request),
      onSnapshot: async (_from, _header, chunks) => {
        for await (const chunk of chunks) expect(chunk.byteLength).toBeGreaterThan(0)
      }
    }
    await transport.start(handlers)
    transport.identify({ clusterId: 'c', nodeId: nodeId(peers.indexOf(peer) + 1) })
    transport.setPeers(
      peers
        .filter((other) => other !== peer)
        .map((other) => ({ id: nodeId(peers.indexOf(other) + 1), peerId: other, addresses: [] }))
    )
    return transport
  }
  const [a, b] = [await start(A), await start(B)]
  await time.until(() => connected.get(A) === true && connected.get(B) === true)
  const values = (peer: PeerId): number[] => seen.get(peer)!.map(({ value }) => value)
  const send = (from: Transport, count: number): void => {
    for (let value = 0; value < count; value++) {
      from.send(nodeId(from === a ? 2 : 1), 'append', Uint8Array.of(value))
    }
  }
  return { time, network, seen, connected, start, a, b, values, send }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, value) => value)

test('one seed gives one course of events, another seed another', async () => {
  const course = async (seed: number): Promise<readonly Seen[]> => {
    const rig = await pair({ link: { loss: 0.2, duplicate: 0.2, reorder: 0.2 } }, seed)
    rig.send(rig.a, 100)
    await rig.time.advance(100)
    return rig.seen.get(B)!
  }
  expect(await course(5)).toEqual(await course(5))
  expect(await course(5)).not.toEqual(await course(6))
})

test('loss, repeats and disorder happen, at about the rate asked for', async () => {
  const faulty = async (link: SimNetworkOptions['link']): Promise<number[]> => {
    const rig = await pair(link === undefined ? {} : { link })
    rig.send(rig.a, 250)
    await rig.time.advance(1_000)
    return rig.values(B)
  }
  expect(await faulty(undefined)).toEqual(range(250))
  const lossy = await faulty({ loss: 0.3 })
  expect(lossy.length).toBeGreaterThan(140)
  expect(lossy.length).toBeLessThan(210)
  expect(lossy).toEqual([...lossy].sort((x, y) => x - y))
  expect((await faulty({ duplicate: 0.3 })).length).toBeGreaterThan(290)
  const mixed = await faulty({ reorder: 0.3 })
  expect(mixed).not.toEqual(range(250))
  expect([...mixed].sort((x, y) => x - y)).toEqual(range(250))
})

test('a partition stops both ways and is noticed; healing restores both', async () => {
  const { time, network, a, b, send, values, connected } = await pair()
  network.partition([[A], [B]])
  send(a, 3)
  send(b, 3)
  const request = a.request(nodeId(2), new Uint8Array(), { timeoutMs: 100 })
  await expect(Promise.all([request, time.advance(100)])).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect([values(A), values(B)]).toEqual([[], []])
  expect(connected.get(A)).toBe(true)
  await time.advance(1_000)
  expect([connected.get(A), connected.get(B)]).toEqual([false, false])
  network.heal()
  await time.until(() => connected.get(A) === true && connected.get(B) === true)
  send(a, 3)
  await time.until(() => values(B).length === 3)
})

test('a one-way cut lets the other way through', async () => {
  const { time, network, a, b, send, values } = await pair()
  network.cut(A, B)
  send(a, 3)
  send(b, 3)
  await time.advance(50)
  expect([values(A), values(B)]).toEqual([[0, 1, 2], []])
})

test('a clogged link holds frames in order, within its bound, until it is free', async () => {
  const { time, network, a, send, values } = await pair({ maxQueueBytes: 10 })
  network.clog(A, B)
  send(a, 10)
  expect(a.send(nodeId(2), 'append', Uint8Array.of(99))).toBe(false)
  await time.advance(100)
  expect(values(B)).toEqual([])
  expect(a.queuedBytes(nodeId(2), 'append')).toBe(10)
  network.unclog(A, B)
  await time.advance(100)
  expect(values(B)).toEqual(range(10))
  expect(a.queuedBytes(nodeId(2), 'append')).toBe(0)
})

test('what a node sent before its death arrives as a prefix, and nothing after', async () => {
  const lengths = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const { time, network, a, send, values, connected } = await pair({}, seed)
    send(a, 20)
    network.crash(A)
    expect(a.send(nodeId(2), 'append', Uint8Array.of(1))).toBe(false)
    await time.until(() => connected.get(B) === false)
    await time.advance(10)
    expect(values(B)).toEqual(range(values(B).length))
    lengths.add(values(B).length)
  }
  expect(lengths.size).toBeGreaterThan(5)
})

test('the next life of a node gets nothing that was meant for the last', async () => {
  const { time, network, a, send, values, connected, start } = await pair()
  send(a, 20)
  network.crash(B)
  await start(B)
  connected.delete(B)
  await time.until(() => connected.get(B) === true && connected.get(A) === true)
  await time.advance(100)
  expect(values(B)).toEqual([])
  send(a, 2)
  await time.until(() => values(B).length === 2)
})

test('a partition that lasts breaks a snapshot', async () => {
  const { time, network, a } = await pair()
  const endless = (async function* () {
    for (;;) {
      await Promise.resolve()
      yield new Uint8Array(10)
    }
  })()
  let outcome: unknown
  void a.sendSnapshot(nodeId(2), new Uint8Array(1), endless).catch((error: unknown) => (outcome = error))
  await time.advance(20)
  expect(outcome).toBeUndefined()
  network.partition([[A], [B]])
  await time.until(() => outcome !== undefined)
  expect(outcome).toMatchObject({ code: 'PEER_UNREACHABLE' })
})
