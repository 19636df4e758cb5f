from corntriton import flow


@flow
def timed(request, c):
    return {"story": c.say(text=c.nap(text=request["text"]).text).story}
