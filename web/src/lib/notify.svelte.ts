import { text } from './text'

class Notifications {
  readonly possible = 'Notification' in window
  permission = $state<NotificationPermission>(this.possible ? Notification.permission : 'denied')

  async ask(): Promise<void> {
    if (this.possible) this.permission = await Notification.requestPermission()
  }
}

export const notifications = new Notifications()

/** The page is looked at, as far as the browser knows. */
export const inView = () => document.visibilityState === 'visible' && document.hasFocus()

/** Shows something while the page is not looked at; a newer one of the same tag takes its place. The result takes it away. */
function show(title: string, o: NotificationOptions, open?: string): (() => void) | undefined {
  if (notifications.permission !== 'granted' || inView()) return
  const n = new Notification(title, { icon: '/icon.svg', ...o })
  n.onclick = () => {
    window.focus()
    if (open) location.hash = open
    n.close()
  }
  return () => n.close()
}

export const notifyOfCall = (name: string) => show(text.incoming.title(name), { tag: 'call', requireInteraction: true })

export function notifyOf(title: string, body: string, open: string): void {
  show(title, { body, tag: open }, open)
}
