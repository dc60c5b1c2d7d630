import { expect, test } from 'vitest'
import type { RuntimeOptions } from '../../../runtime/runtime-options.ts'
import { shieldListeners } from '../../../runtime/shield.ts'

const said: string[] = []
const say = (level: string) => (_: unknown, message: string) => {
  said.push(`${level}: ${message}`)
}
const logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }

function shielded(listeners: Partial<RuntimeOptions>): RuntimeOptions {
  said.length = 0
  return shieldListeners({ ports: { logger }, ...listeners } as unknown as RuntimeOptions)
}

test('a listener that throws does not stop its caller, is named once, and hears what follows', () => {
  const heard: number[] = []
  const { beforeEvents } = shielded({
    beforeEvents: (_, index) => {
      heard.push(index)
      if (index < 3) throw new Error(`no ${index}`)
    }
  })
  for (const index of [1, 2, 3]) beforeEvents?.([], index)
  expect(heard).toEqual([1, 2, 3])
  expect(said.map((line) => line.split(':')[0])).toEqual(['error', 'debug'])
})

test('what hears of reigns, snapshots and policies may throw too', () => {
  const fail = (): never => {
    throw new Error('no')
  }
  const { onReign, onReplaced, onPolicyFailure } = shielded({
    onReign: fail,
    onReplaced: fail,
    onPolicyFailure: fail
  })
  onReign?.(true)
  onReplaced?.()
  onPolicyFailure?.({ policy: 'a', fault: 'threw', message: '' })
  expect(said).toHaveLength(3)
})

test('who judges a node by its events is heard', () => {
  const { onEvents } = shielded({
    onEvents: () => {
      throw new Error('violated')
    }
  })
  expect(() => onEvents?.([], 1)).toThrow('violated')
})
