import { afterEach, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../base/errors.ts'
import { nodeId } from '../../base/ids.ts'
import type { NodeId, PeerId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import { createEntropy } from '../../node/system/entropy.ts'
import { createLogger } from '../../node/system/logger.ts'
import { createLibp2pTransport, generatePeerKey } from '../../node/transport/libp2p-transport.ts'
import { CHANNELS } from '../../runtime/ports/transport.ts'
import type { Channel, PeerAddress, Transport, TransportHandlers } from '../../runtime/ports/transport.ts'
import { createSimNetwork } from '../../sim/network.ts'
import { createVirtualTime } from '../helpers/virtual-time.ts'

interface Rig {
  create(): Promise<Transport>
  readonly until: (condition: () => boolean) => Promise<void>
  /** Runs work that needs the rig's time to pass. */
  readonly run: <T>(work: Promise<T>) => Promise<T>
}

function simulated(): Rig {
  const time = createVirtualTime()
  const network = createSimNetwork({ rng: createRng(7), schedule: time.schedule })
  let count = 0
  return {
    create: () => Promise.resolve(network.transport(`peer-${++count}` as PeerId)),
    until: time.until,
    run: async (work) => {
      let done = false
      const settled = (): void => {
        done = true
      }
      work.then(settled, settled)
      await time.until(() => done)
      return work
    }
  }
}

function libp2p(): Rig {
  return {
    create: () =>
      createLibp2pTransport({
        privateKey: generatePeerKey(),
        entropy: createEntropy(),
        logger: createLogger({ level: 'silent' }),
        softwareVersion: 'test'
      }),
    until: (condition) =>
      vi.waitFor(
        () => {
          if (!condition()) throw new Error('the condition does not hold')
        },
        { timeout: 20_000, interval: 2 }
      ),
    run: (work) => work
  }
}

interface TestNode extends TransportHandlers {
  readonly id: NodeId
  readonly transport: Transport
  readonly frames: { from: NodeId; channel: Channel; frame: number[] }[]
  readonly connected: Map<NodeId, boolean>
}

const running: Transport[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((transport) => transport.stop()))
})

async function startNode(
  rig: Rig,
  id: number,
  handlers: Partial<TransportHandlers> = {},
  clusterId: string | undefined = 'cluster'
): Promise<TestNode> {
  const transport = await rig.create()
  running.push(transport)
  const node: TestNode = {
    id: nodeId(id),
    transport,
    frames: [],
    connected: new Map(),
    onFrame: (from, channel, frame) => node.frames.push({ from, channel, frame: [...frame] }),
    onConnection: (peer, connected) => node.connected.set(peer, connected),
    onRequest: (_from, _member, request) => Promise.resolve(request),
    onSnapshot: () => Promise.resolve(),
    ...handlers
  }
  await transport.start(node)
  if (clusterId !== '') transport.identify({ clusterId, nodeId: node.id })
  return node
}

const addressOf = ({ id, transport }: TestNode): PeerAddress => ({
  id,
  peerId: transport.peerId,
  addresses: transport.addresses()
})

async function connect(rig: Rig, ...nodes: TestNode[]): Promise<void> {
  for (const node of nodes) {
    node.transport.setPeers(nodes.filter((other) => other !== node).map(addressOf))
  }
  await rig.until(() =>
    nodes.every((node) => nodes.every((other) => other === node || node.connected.get(other.id) === true))
  )
}

async function* numbered(count: number, size: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) {
    await Promise.resolve()
    yield new Uint8Array(size).fill(index % 251)
  }
}

describe.each([
  ['simulated', simulated],
  ['libp2p', libp2p]
] as const)('a %s transport', (_name, createRig) => {
  test('delivers frames whole and in order on every channel, named by membership', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 11), await startNode(rig, 22)]
    await connect(rig, a, b)
    for (let value = 0; value < 200; value++) {
      for (const channel of CHANNELS) {
        expect(a.transport.send(b.id, channel, Uint8Array.of(value, 1, 2))).toBe(true)
      }
    }
    await rig.until(() => b.frames.length === 600)
    for (const channel of CHANNELS) {
      const received = b.frames.filter((frame) => frame.channel === channel)
      expect(received.map(({ frame }) => frame)).toEqual(
        Array.from({ length: 200 }, (_, value) => [value, 1, 2])
      )
    }
    expect(new Set(b.frames.map(({ from }) => from))).toEqual(new Set([11]))
  })

  test('carries frames of any size up to the bound, and refuses larger ones', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    const sizes: number[] = []
    b.onFrame = (_from, _channel, frame) => {
      expect(frame.every((byte) => byte === frame.byteLength % 256)).toBe(true)
      sizes.push(frame.byteLength)
    }
    await connect(rig, a, b)
    const wanted = [0, 1, 3, 65_515, 65_536, 262_144, 1_048_577, 5_000_000]
    for (const size of wanted) {
      a.transport.send(b.id, 'append', new Uint8Array(size).fill(size % 256))
    }
    await rig.until(() => sizes.length === wanted.length)
    expect(sizes).toEqual(wanted)
    expect(a.transport.send(b.id, 'append', new Uint8Array(16 * 1024 * 1024 + 1))).toBe(false)
    expect(a.transport.queuedBytes(b.id, 'append')).toBe(0)
  })

  test('refuses frames for those who are no members', async () => {
    const rig = createRig()
    const a = await startNode(rig, 1)
    expect(a.transport.send(nodeId(9), 'append', new Uint8Array(1))).toBe(false)
    expect(a.transport.queuedBytes(nodeId(9), 'append')).toBe(0)
  })

  test('takes no frame from a peer that membership does not name', async () => {
    const rig = createRig()
    const [a, b, c] = [await startNode(rig, 1), await startNode(rig, 2), await startNode(rig, 3)]
    // The stranger claims to be node 2, and counts the others as its members.
    c.transport.identify({ clusterId: 'cluster', nodeId: b.id })
    c.transport.setPeers([addressOf(a), addressOf(b)])
    await connect(rig, a, b)
    for (let round = 0; round < 5; round++) {
      c.transport.send(a.id, 'liveness', Uint8Array.of(66))
      b.transport.send(a.id, 'liveness', Uint8Array.of(round))
      await rig.until(() => a.frames.length === round + 1)
    }
    expect(a.frames.map(({ from, frame }) => [from, frame[0]])).toEqual([0, 1, 2, 3, 4].map((n) => [2, n]))
    expect(c.connected.get(a.id)).toBeUndefined()
  })

  test('connects nobody to a member of another cluster', async () => {
    const rig = createRig()
    const [a, b, c] = [await startNode(rig, 1), await startNode(rig, 2), await startNode(rig, 3, {}, 'other')]
    c.transport.setPeers([addressOf(a)])
    a.transport.setPeers([addressOf(b), addressOf(c)])
    b.transport.setPeers([addressOf(a)])
    await rig.until(() => a.connected.get(b.id) === true)
    c.transport.send(a.id, 'append', Uint8Array.of(1))
    b.transport.send(a.id, 'append', Uint8Array.of(2))
    await rig.until(() => a.frames.length > 0)
    expect(a.frames.map(({ from }) => from)).toEqual([2])
    expect(a.connected.has(c.id)).toBe(false)
  })

  test('speaks to members only once it has an identity', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2, {}, '')]
    a.transport.setPeers([addressOf(b)])
    b.transport.setPeers([addressOf(a)])
    await rig.run(a.transport.request(b.transport.addresses()[0]!, Uint8Array.of(1), { timeoutMs: 5_000 }))
    expect(a.connected.get(b.id)).toBeUndefined()
    b.transport.identify({ clusterId: 'cluster', nodeId: b.id })
    await rig.until(() => a.connected.get(b.id) === true && b.connected.get(a.id) === true)
  })

  test('cuts off a member that was removed, and lets it back in', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    await connect(rig, a, b)
    a.transport.setPeers([])
    await rig.until(() => a.connected.get(b.id) === false && b.connected.get(a.id) === false)
    expect(a.transport.send(b.id, 'liveness', Uint8Array.of(1))).toBe(false)
    a.transport.setPeers([addressOf(b)])
    await rig.until(() => a.connected.get(b.id) === true && b.connected.get(a.id) === true)
    await rig.until(() => b.transport.send(a.id, 'liveness', Uint8Array.of(5)) && a.frames.length > 0)
    expect(a.frames[0]!.frame).toEqual([5])
  })

  test('tells of a member that stopped', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    await connect(rig, a, b)
    await b.transport.stop()
    await rig.until(() => a.connected.get(b.id) === false)
  })

  test('answers requests by number and by address, from members and strangers', async () => {
    const rig = createRig()
    const seen: (NodeId | undefined)[] = []
    const [a, b, c] = [await startNode(rig, 1), await startNode(rig, 2), await startNode(rig, 3)]
    b.onRequest = (from, member, request) => {
      expect([a.transport.peerId, c.transport.peerId]).toContain(from)
      seen.push(member)
      return Promise.resolve(Uint8Array.from([...request, 9]))
    }
    await connect(rig, a, b)
    const address = b.transport.addresses()[0]!
    for (const [from, to] of [
      [a, b.id],
      [a, address],
      [c, address]
    ] as const) {
      const reply = await rig.run(from.transport.request(to, Uint8Array.of(4), { timeoutMs: 5_000 }))
      expect([...reply]).toEqual([4, 9])
    }
    expect(seen).toEqual([1, 1, undefined])
  })

  test('many requests at once each get their own reply', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    await connect(rig, a, b)
    const replies = await rig.run(
      Promise.all(
        Array.from({ length: 100 }, (_, value) =>
          a.transport.request(b.id, Uint8Array.of(value), { timeoutMs: 10_000 })
        )
      )
    )
    expect(replies.map((reply) => reply[0])).toEqual(Array.from({ length: 100 }, (_, value) => value))
  })

  test('a failed request carries the code and message of its error', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    b.onRequest = () => Promise.reject(new AppError('NOT_LEADER', 'ask node 3', { details: { leader: 3 } }))
    await connect(rig, a, b)
    const request = a.transport.request(b.id, new Uint8Array(), { timeoutMs: 5_000 })
    await expect(rig.run(request)).rejects.toMatchObject({
      code: 'NOT_LEADER',
      message: 'ask node 3',
      details: { leader: 3 }
    })
  })

  test('a request without a reply ends at its deadline', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    b.onRequest = () => new Promise(() => undefined)
    await connect(rig, a, b)
    const request = a.transport.request(b.id, new Uint8Array(), { timeoutMs: 50 })
    await expect(rig.run(request)).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  test('a request to nobody is known not to have been delivered', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    const address = b.transport.addresses()[0]!
    await b.transport.stop()
    const toAddress = a.transport.request(address, new Uint8Array(), { timeoutMs: 5_000 })
    await expect(rig.run(toAddress)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    const toNumber = a.transport.request(nodeId(7), new Uint8Array(), { timeoutMs: 5_000 })
    await expect(rig.run(toNumber)).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' })
  })

  test('streams a snapshot: header, chunks in order, then the verdict', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    const chunks: number[] = []
    b.onSnapshot = async (from, header, source) => {
      expect([from, ...header]).toEqual([1, 42])
      for await (const chunk of source) {
        expect(chunk.byteLength).toBe(100_000)
        chunks.push(chunk[0]!)
      }
    }
    await connect(rig, a, b)
    await rig.run(a.transport.sendSnapshot(b.id, Uint8Array.of(42), numbered(60, 100_000)))
    expect(chunks).toEqual(Array.from({ length: 60 }, (_, value) => value))
  })

  test('a sender of a snapshot waits for its receiver', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    let produced = 0
    let resume = (): void => undefined
    let received = 0
    b.onSnapshot = async (_from, _header, source) => {
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      for await (const chunk of source) received += chunk.byteLength
    }
    await connect(rig, a, b)
    const chunks = (async function* () {
      for await (const chunk of numbered(1_000, 100_000)) {
        produced += chunk.byteLength
        yield chunk
      }
    })()
    const sent = a.transport.sendSnapshot(b.id, new Uint8Array(1), chunks)
    let level = -1
    // Full when several looks in a row see no progress.
    await rig.run(
      (async () => {
        for (let same = 0; same < 20;) {
          same = produced === level ? same + 1 : 0
          level = produced
          await rig.run(a.transport.request(b.id, new Uint8Array(), { timeoutMs: 5_000 }))
        }
      })()
    )
    expect(produced).toBeLessThan(40_000_000)
    resume()
    await rig.run(sent)
    expect(received).toBe(100_000_000)
  })

  test('a refused snapshot fails with the reason of the receiver, before all is sent', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    b.onSnapshot = () => Promise.reject(new AppError('STORAGE_FULL', 'no room'))
    await connect(rig, a, b)
    const endless = numbered(Infinity, 10_000)
    await expect(rig.run(a.transport.sendSnapshot(b.id, new Uint8Array(1), endless))).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: 'no room'
    })
  })

  test('a snapshot whose source fails never looks complete', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    let outcome: unknown = 'none'
    b.onSnapshot = async (_from, _header, source) => {
      try {
        for await (const chunk of source) expect(chunk.byteLength).toBe(10)
        outcome = 'complete'
      } catch (error) {
        outcome = error
        throw error
      }
    }
    await connect(rig, a, b)
    const failing = (async function* () {
      yield* numbered(3, 10)
      throw new Error('unreadable')
    })()
    await expect(rig.run(a.transport.sendSnapshot(b.id, new Uint8Array(1), failing))).rejects.toThrow(
      'unreadable'
    )
    await rig.until(() => outcome !== 'none')
    expect(outcome).toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  test('a snapshot to no member is refused at once', async () => {
    const rig = createRig()
    const a = await startNode(rig, 1)
    await expect(
      rig.run(a.transport.sendSnapshot(nodeId(5), new Uint8Array(), numbered(1, 1)))
    ).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' })
  })

  test('stopping ends what is under way, and may be asked for twice', async () => {
    const rig = createRig()
    const [a, b] = [await startNode(rig, 1), await startNode(rig, 2)]
    b.onRequest = () => new Promise(() => undefined)
    await connect(rig, a, b)
    const request = a.transport.request(b.id, new Uint8Array(), { timeoutMs: 30_000 })
    const ended = expect(rig.run(request)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    await a.transport.stop()
    await a.transport.stop()
    await ended
    expect(a.transport.send(b.id, 'append', new Uint8Array(1))).toBe(false)
  })
})
