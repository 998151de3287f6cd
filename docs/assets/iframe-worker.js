// Browsers start no worker from a file. Where the site is opened from a folder, its search runs in a hidden frame instead.
// The theme looks for a class of this name.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inner.importScripts = async (...urls) => {
        for (const source of urls)
          await new Promise((loaded, failed) => {
            const script = inner.document.createElement("script");
            Object.assign(script, { src: source, onload: loaded, onerror: failed });
            inner.document.body.append(script);
          });
      };
      this.ready = inner.importScripts(url);
    }

    async postMessage(data) {
      await this.ready;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
