// Reading QR codes: what does it is loaded when somebody scans one.

import { text } from './text'
import { PhoneError } from './phone.svelte'

export async function openCamera(): Promise<MediaStream> {
  const c = text.camera
  if (!navigator.mediaDevices?.getUserMedia) throw new PhoneError({ text: c.missing })
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1280 } } })
  } catch (e) {
    const name = e instanceof DOMException ? e.name : ''
    if (name === 'NotAllowedError' || name === 'SecurityError') throw new PhoneError({ text: c.denied })
    throw new PhoneError({ text: name === 'NotFoundError' || name === 'OverconstrainedError' ? c.missing : c.busy })
  }
}

const LARGEST = 1280 // a larger picture takes longer and says no more

/** The text of a code in a picture, if there is one. */
export async function readCode(image: CanvasImageSource, width: number, height: number): Promise<string | undefined> {
  if (!width || !height) return
  const { decodeQR } = await import('qr/decode.js')
  const scale = Math.min(1, LARGEST / Math.max(width, height))
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale))
  const context = canvas.getContext('2d', { willReadFrequently: true })!
  context.fillStyle = '#fff' // behind pictures with holes
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(image, 0, 0, canvas.width, canvas.height)
  try {
    return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height), { timeLimit: 100 })
  } catch {
    return // none is seen
  }
}
