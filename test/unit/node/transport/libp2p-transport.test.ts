import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createEntropy } from '../../../../node/system/entropy.ts'
import { createLogger } from '../../../../node/system/logger.ts'
import { createLibp2pTransport, generatePeerKey } from '../../../../node/transport/libp2p-transport.ts'
import type { Libp2pTransportOptions, PeerMismatch } from '../../../../node/transport/options.ts'
import type { Transport, TransportHandlers } from '../../../../runtime/ports/transport.ts'
import { createPlug } from '../../../helpers/tcp-plug.ts'

const running: Transport[] = []
const servers: Server[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((transport) => transport.stop()))
  for (const server of servers.splice(0)) server.close()
})

async function create(options: Partial<Libp2pTransportOptions> = {}): Promise<Transport> {
  const transport = await createLibp2pTransport({
    privateKey: generatePeerKey(),
    entropy: createEntropy(),
    logger: createLogger({ level: 'silent' }),
    softwareVersion: 'test',
    ...options
  })
  running.push(transport)
  return transport
}

const handlers = (changes: Partial<TransportHandlers> = {}): TransportHandlers => ({
  onFrame: () => undefined,
  onConnection: () => undefined,
  onRequest: (_from, _member, request) => Promise.resolve(request),
  onSnapshot: () => Promise.resolve(),
  ...changes
})

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(
    () => {
      if (!condition()) throw new Error('the condition does not hold')
    },
    { timeout: 20_000, interval: 5 }
  )

test('the same key gives the same identity', async () => {
  const privateKey = generatePeerKey()
  const [first, second] = [await create({ privateKey }), await create({ privateKey })]
  expect(first.peerId).toBe(second.peerId)
  expect(first.peerId).toMatch(/^12D3KooW/)
  expect((await create()).peerId).not.toBe(first.peerId)
})

test('a key or address that cannot be read is a configuration error', async () => {
  await expect(create({ privateKey: Uint8Array.of(1, 2) })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const transport = await create({ listen: ['/ip4/127.0.0.1/udp/0'] })
  await expect(transport.start(handlers())).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('a port that is taken is named as such', async () => {
  const server = createServer()
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const transport = await create({ listen: [`/ip4/127.0.0.1/tcp/${port}`] })
  await expect(transport.start(handlers())).rejects.toMatchObject({ code: 'PORT_IN_USE' })
})

test('a peer of another cluster is reported once by each side, however often it calls', async () => {
  const reports: PeerMismatch[] = []
  const options = {
    onMismatch: (mismatch: PeerMismatch) => reports.push(mismatch),
    limits: { minBackoffMs: 1, maxBackoffMs: 5 }
  }
  const [a, b] = [await create(options), await create(options)]
  await a.start(handlers())
  await b.start(handlers())
  a.identify({ clusterId: 'one', nodeId: nodeId(1) })
  b.identify({ clusterId: 'two', nodeId: nodeId(2) })
  a.setPeers([{ id: nodeId(2), peerId: b.peerId, addresses: b.addresses() }])
  b.setPeers([{ id: nodeId(1), peerId: a.peerId, addresses: a.addresses() }])
  await until(() => reports.length === 2)
  // Time for several more attempts, each a full round trip behind the requests.
  for (let round = 0; round < 20; round++) {
    await a.request(b.addresses()[0] ?? '', new Uint8Array(1), { timeoutMs: 5_000 })
  }
  expect(reports.map(({ code, peerId }) => [code, peerId]).sort()).toEqual(
    [
      ['CLUSTER_MISMATCH', a.peerId],
      ['CLUSTER_MISMATCH', b.peerId]
    ].sort()
  )
})

test('a peer whose packets vanish is noticed, and found again when they return', async () => {
  const limits = {
    keepAliveMs: 50,
    silenceMs: 1_000,
    minBackoffMs: 5,
    maxBackoffMs: 50,
    dialTimeoutMs: 2_000
  }
  const [a, b] = [await create({ limits }), await create({ limits })]
  let connected: boolean | undefined
  await a.start(handlers({ onConnection: (_peer, up) => (connected = up) }))
  await b.start(handlers())
  const plug = await createPlug(b.addresses()[0] ?? '')
  const back = await createPlug(a.addresses()[0] ?? '')
  a.identify({ clusterId: 'c', nodeId: nodeId(1) })
  b.identify({ clusterId: 'c', nodeId: nodeId(2) })
  a.setPeers([{ id: nodeId(2), peerId: b.peerId, addresses: [plug.address] }])
  b.setPeers([{ id: nodeId(1), peerId: a.peerId, addresses: [back.address] }])
  await until(() => connected === true)
  plug.pull()
  back.pull()
  await until(() => connected === false)
  plug.insert()
  back.insert()
  await until(() => connected === true)
  // The new address is used when the old one is dead.
  await plug.close()
  await until(() => connected === false)
  a.setPeers([{ id: nodeId(2), peerId: b.peerId, addresses: b.addresses() }])
  await until(() => connected === true)
  await back.close()
})
