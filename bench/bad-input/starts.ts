/**
 * Starts that must fail: options, ports, and data folders that are another node's, in use, of another version, or
 * damaged. Damage is done to copies; what a copy is made of comes from a node that was killed.
 */
import { constants } from 'node:fs'
import { cp, open, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import { toAppError } from '../../base/errors.ts'
import { BLOCK_BYTES, sealBlock, viewOf } from '../../consensus/wal/format.ts'
import { HARD_STATE_FILE } from '../../consensus/wal/hard-state-file.ts'
import { createEntropy } from '../../node/system/entropy.ts'
import { createLogger } from '../../node/system/logger.ts'
import { createLibp2pTransport, generatePeerKey } from '../../node/transport/libp2p-transport.ts'
import type { Case, Refusal } from './cases.ts'
import { refusedStart } from './cases.ts'

export interface StartInput {
  /** For copies and new folders. */
  readonly scratch: string
  /** Data folder and API of a node that runs. */
  readonly running: { readonly folder: string; readonly url: string; readonly address: string }
  /** Data folders of two nodes of the cluster; the first one's process is dead. */
  readonly dead: string
  readonly other: string
}

/** Offset of the format version in a segment's header. */
const AT_VERSION = 8
const OTHER_VERSION = 99
const WAL = 'wal'

export function startCases(input: StartInput): Case[] {
  return [...optionCases(input), ...folderCases(input), ...damageCases(input), peerVersionCase(input)]
}

function optionCases({ scratch, running }: StartInput): Case[] {
  const fresh = (name: string, expected: string, names: RegExp, options: readonly string[]): Case => ({
    name,
    expected,
    names,
    provoke: () => refusedStart(['--data', join(scratch, name.replaceAll(' ', '-')), ...options])
  })
  const httpPort = new URL(running.url).port
  const peerPort = /\/tcp\/(\d+)/.exec(running.address)?.[1] ?? ''
  return [
    fresh('port in use', 'PORT_IN_USE', new RegExp(httpPort), ['--http-port', httpPort]),
    fresh('peer port in use', 'PORT_IN_USE', new RegExp(peerPort), ['--peer-port', peerPort]),
    fresh('unknown option value', 'USAGE', /timing.*got.*wan.*expected/, ['--timing', 'wan']),
    fresh('unknown log level', 'USAGE', /log-level.*got.*loud.*expected/, ['--log-level', 'loud'])
  ]
}

function folderCases(input: StartInput): Case[] {
  const foreign = async (folder: string): Promise<void> => {
    await rm(join(folder, WAL), { recursive: true })
    await copy(join(input.other, WAL), join(folder, WAL))
  }
  return [
    onCopy(
      input,
      'data folder of another node',
      'DATA_FOLDER_FOREIGN',
      /node \d+ .*expected node \d+/,
      foreign
    ),
    {
      name: 'data folder in use',
      expected: 'DATA_FOLDER_LOCKED',
      names: /lock/i,
      provoke: () => refusedStart(['--data', input.running.folder])
    },
    onCopy(
      input,
      'identity of another version',
      'DATA_VERSION_UNSUPPORTED',
      /got .*99.*expected .*1/,
      (folder) =>
        edit(join(folder, 'identity.json'), (text) =>
          text.replace(/"formatVersion": \d+/, `"formatVersion": ${OTHER_VERSION}`)
        )
    ),
    onCopy(input, 'log of another version', 'DATA_VERSION_UNSUPPORTED', /got .*99.*expected .*1/, (folder) =>
      change(folder, 0, (header) => {
        viewOf(header).setUint32(AT_VERSION, OTHER_VERSION, true)
        sealBlock(header)
      })
    )
  ]
}

function damageCases(input: StartInput): Case[] {
  const where = /segment-\d+\.wal: damaged at offset \d+.*expected.*got/
  const flip = (folder: string, at: (end: number) => number): Promise<void> =>
    change(folder, at, (block) => {
      block[100] = (block[100] ?? 0) ^ 1
    })
  const middle = (end: number): number => Math.floor(end / 2)
  return [
    onCopy(input, 'truncated log', 'WAL_CORRUPT', where, async (folder) => {
      const file = await firstSegment(folder)
      await truncate(file, Math.floor((await endOf(file)) / 2))
    }),
    onCopy(input, 'flipped bit in the log', 'WAL_CORRUPT', where, (folder) => flip(folder, middle)),
    onCopy(input, 'flipped bit in the last batch', 'WAL_CORRUPT', where, (folder) =>
      flip(folder, (end) => end - BLOCK_BYTES)
    ),
    onCopy(
      input,
      'both copies of term and vote',
      'HARD_STATE_CORRUPT',
      /hard-state.*0 of 2/,
      async (folder) => {
        await writeFile(join(folder, WAL, HARD_STATE_FILE), new Uint8Array(2 * BLOCK_BYTES).fill(0xa5))
        await flip(folder, (end) => end - BLOCK_BYTES)
      }
    )
  ]
}

/** A peer of another protocol version asks to join. */
function peerVersionCase({ running }: StartInput): Case {
  return {
    name: 'peer of another protocol version',
    expected: 'PROTOCOL_VERSION_UNSUPPORTED',
    names: /got .*99.*expected .*1/,
    provoke: async (): Promise<Refusal> => {
      const transport = await createLibp2pTransport({
        privateKey: generatePeerKey(),
        listen: ['/ip4/127.0.0.1/tcp/0'],
        entropy: createEntropy(),
        logger: createLogger({ level: 'silent', fields: {} }),
        softwareVersion: 'demonstration',
        onMismatch: () => undefined
      })
      const refuse = (): Promise<never> => Promise.reject(new Error('not a member'))
      await transport.start({
        onFrame: () => undefined,
        onConnection: () => undefined,
        onRequest: refuse,
        onSnapshot: refuse
      })
      try {
        const join = new Packr({ useRecords: false }).pack([OTHER_VERSION, 'join', [], ''])
        await transport.request(running.address, join, { timeoutMs: 10_000 })
        return { code: 'ACCEPTED', message: 'a request of another protocol version was answered' }
      } catch (error) {
        const { code, message } = toAppError(error)
        return { code, message }
      } finally {
        await transport.stop()
      }
    }
  }
}

/** A case on a copy of the dead node's folder, after `damage` was done to it. */
function onCopy(
  { scratch, dead }: StartInput,
  name: string,
  expected: string,
  names: RegExp,
  damage: (folder: string) => Promise<void>
): Case {
  return {
    name,
    expected,
    names,
    provoke: async () => {
      const folder = join(scratch, name.replaceAll(' ', '-'))
      await copy(dead, folder)
      try {
        await damage(folder)
        return await refusedStart(['--data', folder])
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    }
  }
}

async function copy(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, mode: constants.COPYFILE_FICLONE })
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')))
}

/** Changes one block of the first segment in place. */
async function change(
  folder: string,
  at: number | ((end: number) => number),
  how: (block: Uint8Array) => void
): Promise<void> {
  const path = await firstSegment(folder)
  const offset = typeof at === 'number' ? at : at(await endOf(path))
  const start = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES
  const file = await open(path, 'r+')
  try {
    const block = new Uint8Array(BLOCK_BYTES)
    await file.read(block, 0, BLOCK_BYTES, start)
    how(block)
    await file.write(block, 0, BLOCK_BYTES, start)
  } finally {
    await file.close()
  }
}

async function firstSegment(folder: string): Promise<string> {
  const names = (await readdir(join(folder, WAL))).filter((name) => name.endsWith('.wal')).sort()
  return join(folder, WAL, names[0] ?? '')
}

/** Where the written part of a segment ends, in whole blocks: the rest is zeros. */
async function endOf(path: string): Promise<number> {
  const bytes = await readFile(path)
  const zeros = Buffer.alloc(BLOCK_BYTES)
  let end = bytes.length
  while (end > 0 && bytes.subarray(end - BLOCK_BYTES, end).equals(zeros)) end -= BLOCK_BYTES
  return end
}
