import { expect, test, vi } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { compareHello, decodeHello, encodeHello, PROTOCOL_VERSION } from '../../../../node/transport/hello.ts'

const hello = { protocolVersion: PROTOCOL_VERSION, clusterId: 'c', nodeId: nodeId(1), softwareVersion: '1.0' }

test('a greeting survives its encoding, with fields of later versions', () => {
  expect(decodeHello(encodeHello(hello))).toEqual(hello)
  const later = new TextEncoder().encode(JSON.stringify({ ...hello, zone: 'x' }))
  expect(decodeHello(later)).toMatchObject(hello)
})

test('what is no greeting is told apart', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"protocolVersion":1}',
    JSON.stringify({ ...hello, nodeId: '1' })
  ]) {
    expect(decodeHello(new TextEncoder().encode(text))).toBeUndefined()
  }
})

test('peers of one cluster and version may speak, whatever their number and software', () => {
  expect(compareHello(hello, { ...hello, nodeId: nodeId(2), softwareVersion: '2.0' })).toBeUndefined()
})

test('another protocol version is named before another cluster', () => {
  const both = { ...hello, protocolVersion: 99, clusterId: 'other' }
  expect(compareHello(hello, both)?.code).toBe('PROTOCOL_VERSION_UNSUPPORTED')
  expect(compareHello(hello, { ...hello, clusterId: 'other' })?.code).toBe('CLUSTER_MISMATCH')
})

test.each(['codec', 'record-version'])(
  'nodes of another version in scheduler/%s.ts are no peers',
  async (file) => {
    vi.resetModules()
    vi.doMock(`../../../../scheduler/${file}.ts`, async (original) => {
      const found = await original<Record<string, unknown>>()
      const raised = Object.entries(found).map(([name, value]) => [
        name,
        typeof value === 'number' ? value + 1 : value
      ])
      return Object.fromEntries(raised) as Record<string, unknown>
    })
    try {
      const later = await import('../../../../node/transport/hello.ts')
      const peer = { ...hello, protocolVersion: later.PROTOCOL_VERSION }
      expect(compareHello(hello, peer)?.code).toBe('PROTOCOL_VERSION_UNSUPPORTED')
      expect(later.PROTOCOL_VERSION).toBeGreaterThan(PROTOCOL_VERSION)
    } finally {
      vi.doUnmock(`../../../../scheduler/${file}.ts`)
      vi.resetModules()
    }
  }
)

test('nodes that greeted by one number whatever they wrote are no peers', () => {
  expect(compareHello(hello, { ...hello, protocolVersion: 2 })?.code).toBe('PROTOCOL_VERSION_UNSUPPORTED')
})
