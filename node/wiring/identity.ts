/**
 * Who a data folder belongs to: cluster, number and key, in `identity.json`, written once and never changed but for the
 * ports that were used last.
 *
 * A folder without it is new. A folder with it is that node's for good: a wiped node gets a new number, since a node that
 * forgot its votes must not vote again under its old name.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { clusterId, nodeId, type ClusterId, type NodeId } from '../../base/ids.ts'

const FILE = 'identity.json'
const FORMAT_VERSION = 1

export interface Identity {
  readonly clusterId: ClusterId
  readonly nodeId: NodeId
  /** Whether this folder is where the cluster was born. */
  readonly founder: boolean
  /** libp2p private key in its protobuf form. */
  readonly peerKey: Uint8Array
  /** Ports used last, so that a restart is found where it was; 0 for none yet. */
  readonly peerPort: number
  readonly httpPort: number
}

/** The folder's identity, or undefined when the folder is new. Rejects with a coded error when it cannot be used. */
export async function readIdentity(folder: string): Promise<Identity | undefined> {
  let text: string
  try {
    text = await readFile(join(folder, FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AppError('STORAGE_FAILED', `${join(folder, FILE)} cannot be read`, { cause: error })
  }
  return parse(text, join(folder, FILE))
}

/** Writes the identity so that a crash leaves the old one or the new one. */
export async function writeIdentity(folder: string, identity: Identity): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { peerKey, ...rest } = identity
  const text = JSON.stringify(
    { formatVersion: FORMAT_VERSION, ...rest, peerKey: Buffer.from(peerKey).toString('base64') },
    null,
    2
  )
  const temporary = join(folder, `${FILE}.new`)
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(`${text}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(folder, FILE))
  const directory = await open(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export function newClusterId(): ClusterId {
  return clusterId(randomBytes(16).toString('hex'))
}

function parse(text: string, path: string): Identity {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `${path}: is not JSON`, { cause: error })
  }
  if (value['formatVersion'] !== FORMAT_VERSION) {
    const got = String(value['formatVersion'])
    throw new AppError(
      'DATA_VERSION_UNSUPPORTED',
      `${path}: got format version ${got}, expected ${FORMAT_VERSION}`
    )
  }
  const cluster = value['clusterId']
  const node = value['nodeId']
  const key = value['peerKey']
  if (typeof cluster !== 'string' || !/^[0-9a-f]{32}$/.test(cluster))
    throw invalid(path, 'clusterId', cluster)
  if (typeof node !== 'number' || !Number.isSafeInteger(node) || node < 1) throw invalid(path, 'nodeId', node)
  if (typeof key !== 'string' || key === '') throw invalid(path, 'peerKey', 'a value of another form')
  return {
    clusterId: clusterId(cluster),
    nodeId: nodeId(node),
    founder: value['founder'] === true,
    peerKey: new Uint8Array(Buffer.from(key, 'base64')),
    peerPort: port(value['peerPort']),
    httpPort: port(value['httpPort'])
  }
}

function port(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536 ? value : 0
}

function invalid(path: string, field: string, got: unknown): AppError {
  return new AppError(
    'CONFIG_INVALID',
    `${path}: ${field}: got ${JSON.stringify(got)}, expected a valid value`,
    {
      details: { field, got }
    }
  )
}
