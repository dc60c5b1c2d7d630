import { expect, test } from 'vitest'
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
